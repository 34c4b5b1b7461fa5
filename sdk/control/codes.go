package control

// Codes of errors that come from no daemon.
const (
	CodeUsage    = "usage"
	CodeNoDaemon = "no_daemon"
	CodeLost     = "lost"
	CodeFailed   = "failed"
)

// Code is what an Error's Code says to a program. Codes are stable: one may come, none changes its meaning.
type Code struct {
	Code    string
	Exit    int // of reltool
	Meaning string
}

// Codes lists every code.
var Codes = []Code{
	{CodeUsage, 2, "reltool was called wrongly"},
	{CodeNoDaemon, 3, "no daemon can be reached"},
	{CodeLost, 1, "the daemon ended before it had answered; what was asked for goes on when it is back, or is done"},
	{CodeFailed, 1, "reltool itself failed, as when a source does not compile"},
	{"bad_request", 1, "the daemon was asked for what cannot be, or in a form that it does not know"},
	{"forbidden", 1, "the account is neither the daemon's nor root"},
	{"not_found", 1, "the daemon has no such address"},
	{"method", 1, "the address does not take this method"},
	{"no_release", 1, "there is no such release, or none to go to"},
	{"same_release", 1, "that release runs already"},
	{"in_use", 1, "the release or its packages are needed and cannot go"},
	{"bad_config", 1, "theseus.toml has a mistake, or does not fit the release"},
	{"unsafe", 1, "others could write to the instance: nothing is built and the daemon stays, until the rights are mended"},
	{"bad_package", 1, "a package is damaged, or not what it says it is"},
	{"untrusted", 1, "nobody whom the instance trusts has signed the package, or it is older than what has served"},
	{"no_appup", 1, "no section of a manifest leads from the one version to the other"},
	{"uncovered", 1, "rows, verbs or listeners would be lost: a Step or a line in a manifest is missing"},
	{"requires", 1, "the services of the release do not fit together"},
	{"busy", 1, "another upgrade is under way"},
	{"stale_plan", 1, "something has changed since the plan was shown"},
	{"irreversible", 1, "there is no way back from the upgrade"},
	{"no_probation", 1, "no upgrade is in probation"},
	{"memory", 1, "refused: the standbys would not fit beside what runs; nothing was begun"},
	{"rehearsal", 1, "aborted: the rows did not go up and down again; the old version never noticed"},
	{"aborted", 1, "aborted before the commit; the old versions serve, as they did all along"},
	{"rolled_back", 1, "rolled back after the commit; the old versions serve, with every write"},
	{"bad_program", 1, "what is to replace the daemon is no theseusd, or others can write to it"},
	{"older", 1, "what is to replace the daemon is an older version"},
	{"no_previous", 1, "no other binary of the daemon was in charge before"},
	{"not_replaced", 1, "the daemon could not be replaced; the one before is in charge"},
	{"internal", 1, "an error of the daemon or of the machine; its log says more"},
}

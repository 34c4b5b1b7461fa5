package fault

// Point is an instant at which a process may be interrupted.
type Point int

// The points; [Points] says what each means.
const (
	KeelSpawned Point = iota
	KeelReplacing
	KeelHandover
	DaemonPrepared
	DaemonReleasing
	DaemonReleased
	DaemonStarted
	DaemonAttached
	DaemonRecovered
	DaemonBooted
	RecordBefore
	RecordAfter
	JournalWritten
	JournalCopied
	JournalRenamed
	CallBefore
	CallAfter
	HostLaunched
	ServiceOpened
	Parked
	FinishBefore
	FinishAfter
	FenceBefore
	FenceAfter
	Awaited
	EpochFenced
	EpochBefore
	EpochAfter
	Armed
	CommitCopied
	RollPublished
	CompactBased
)

// Points is every point there is: its name and what it means to be there. Those that end in a slash are many, one for
// each record or call, which stands behind the slash.
var Points = [...]struct{ Name, Means string }{
	KeelSpawned:     {"keel.spawned", "the keel has started a daemon and not written its record"},
	KeelReplacing:   {"keel.replacing", "a new daemon is started beside the one in charge"},
	KeelHandover:    {"keel.handover", "the old daemon is dead, the new one is in charge and does not know"},
	DaemonPrepared:  {"daemon.prepared", "the new daemon has looked at everything, and has not said so"},
	DaemonReleasing: {"daemon.releasing", "the new daemon is prepared, the old one has everything and is to let go"},
	DaemonReleased:  {"daemon.released", "the old daemon has let go of the journal and of the services, and has not ended"},
	DaemonStarted:   {"daemon.started", "the daemon has opened its files and not attached to anything"},
	DaemonAttached:  {"daemon.attached", "the daemon has the processes of the one before, and has recovered nothing"},
	DaemonRecovered: {"daemon.recovered", "what a crash interrupted is resolved, nothing is booted"},
	DaemonBooted:    {"daemon.booted", "every service is up, the keel does not know yet"},
	RecordBefore:    {"record.before/", "a record is about to be journaled"},
	RecordAfter:     {"record.after/", "a record is journaled, nothing was done about it yet"},
	JournalWritten:  {"journal.written", "a record is in the file, and not on disk"},
	JournalCopied:   {"journal.copied", "a shorter journal is on disk beside the one that is in use"},
	JournalRenamed:  {"journal.renamed", "the shorter journal has the name, which may not be on disk"},
	CallBefore:      {"call.before/", "the daemon is about to ask a process for something"},
	CallAfter:       {"call.after/", "the process has answered, the daemon has made nothing of it"},
	HostLaunched:    {"host.launched", "a process has shaken hands, and no record names it"},
	ServiceOpened:   {"service.opened", "a process has read its log, and has not said so"},
	Parked:          {"service.parked", "the old version has nothing in hand and reads nothing, the log is its own"},
	FinishBefore:    {"service.finish.before", "the old version has no last word on its connections yet"},
	FinishAfter:     {"service.finish.after", "the connections are the other's, the log is still the old version's"},
	FenceBefore:     {"service.fence.before", "the old version is about to fence its log"},
	FenceAfter:      {"service.fence.after", "nobody may write, nobody serves"},
	Awaited:         {"service.awaited", "the new version has the connections, and not the log"},
	EpochFenced:     {"state.epoch.fenced", "the new writer has fenced the log"},
	EpochBefore:     {"state.epoch.before", "the log is read to its end, the new epoch has no segment"},
	EpochAfter:      {"state.epoch.after", "the epoch's segment is there, the new version may write"},
	Armed:           {"service.armed", "the new version serves, and has not said so"},
	CommitCopied:    {"state.commit.copied", "a record is in the segment, and not committed"},
	RollPublished:   {"state.roll.published", "the next segment is there, this one is not sealed"},
	CompactBased:    {"state.compact.based", "the log begins later, what lay before is not deleted"},
}

func (p Point) String() string { return Points[p].Name }

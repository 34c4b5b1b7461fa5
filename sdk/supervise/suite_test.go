package supervise

import (
	"testing"
	"testing/synctest"
	"time"
)

// suite has the cases of OTP's supervisor_SUITE by their names, each with the same meaning, in virtual time.
var suite = []struct {
	name string
	run  func(*world)
}{
	{"sup_start_normal", supStartNormal},
	{"sup_start_ignore_init", supStartIgnoreInit},
	{"sup_start_ignore_child", supStartIgnoreChild},
	{"sup_start_ignore_temporary_child", supStartIgnoreTemporaryChild},
	{"sup_start_ignore_temporary_child_start_child", supStartIgnoreTemporaryChildStartChild},
	{"sup_start_ignore_temporary_child_start_child_simple", supStartIgnoreTemporaryChildStartChildSimple},
	{"sup_start_ignore_permanent_child_start_child_simple", supStartIgnorePermanentChildStartChildSimple},
	{"sup_start_error_return", supStartErrorReturn},
	{"sup_start_fail", supStartFail},
	{"sup_start_child_returns_error", supStartChildReturnsError},
	{"sup_start_child_returns_error_simple", supStartChildReturnsErrorSimple},
	{"sup_start_restart_child_returns_error", supStartRestartChildReturnsError},
	{"sup_start_map", supStartMap},
	{"sup_start_map_simple", supStartMapSimple},
	{"sup_start_map_faulty_specs", supStartMapFaultySpecs},
	{"sup_stop_infinity", supStopInfinity},
	{"sup_stop_timeout", supStopTimeout},
	{"sup_stop_brutal_kill", supStopBrutalKill},
	{"child_adm", childAdm},
	{"child_adm_simple", childAdmSimple},
	{"child_specs", childSpecs},
	{"extra_return", extraReturn},
	{"sup_flags", supFlags},

	{"permanent_normal", permanentNormal},
	{"transient_normal", transientNormal},
	{"temporary_normal", temporaryNormal},
	{"permanent_shutdown", permanentShutdown},
	{"transient_shutdown", transientShutdown},
	{"temporary_shutdown", temporaryShutdown},
	{"faulty_application_shutdown", faultyApplicationShutdown},
	{"permanent_abnormal", permanentAbnormal},
	{"transient_abnormal", transientAbnormal},
	{"temporary_abnormal", temporaryAbnormal},
	{"temporary_bystander", temporaryBystander},
	{"external_start_no_progress_log", externalStartNoProgressLog},

	{"multiple_restarts", multipleRestarts},
	{"one_for_one", oneForOne},
	{"one_for_one_escalation", oneForOneEscalation},
	{"one_for_all", oneForAll},
	{"one_for_all_escalation", oneForAllEscalation},
	{"one_for_all_other_child_fails_restart", oneForAllOtherChildFailsRestart},
	{"rest_for_one", restForOne},
	{"rest_for_one_escalation", restForOneEscalation},
	{"rest_for_one_other_child_fails_restart", restForOneOtherChildFailsRestart},
	{"simple_one_for_one", simpleOneForOne},
	{"simple_one_for_one_restart_ignore", simpleOneForOneRestartIgnore},
	{"simple_one_for_one_shutdown", simpleOneForOneShutdown},
	{"simple_one_for_one_extra", simpleOneForOneExtra},
	{"simple_one_for_one_corruption", simpleOneForOneCorruption},
	{"simple_one_for_one_escalation", simpleOneForOneEscalation},
	{"hanging_restart_loop", hangingRestartLoop},
	{"hanging_restart_loop_rest_for_one", hangingRestartLoopRestForOne},
	{"hanging_restart_loop_simple", hangingRestartLoopSimple},

	{"nonsignificant_temporary", nonsignificantTemporary},
	{"nonsignificant_transient", nonsignificantTransient},
	{"significant_temporary", significantTemporary},
	{"significant_transient", significantTransient},
	{"significant_simple", significantSimple},
	{"significant_bystander", significantBystander},
	{"significant_escalation", significantEscalation},
	{"significant_upgrade_never_any", significantUpgradeNeverAny},
	{"significant_upgrade_any_never", significantUpgradeAnyNever},
	{"significant_upgrade_never_all", significantUpgradeNeverAll},
	{"significant_upgrade_all_never", significantUpgradeAllNever},
	{"significant_upgrade_any_all", significantUpgradeAnyAll},
	{"significant_upgrade_all_any", significantUpgradeAllAny},
	{"significant_upgrade_child", significantUpgradeChild},

	{"child_unlink", childUnlink},
	{"tree", treeOfSupervisors},
	{"count_children", countChildren},
	{"count_children_supervisor", countChildrenSupervisor},
	{"count_restarting_children", countRestartingChildren},
	{"order_of_children", orderOfChildren},
	{"which_children", whichChildren},
	{"which_children_simple_one_for_one", whichChildrenSimpleOneForOne},
	{"already_started_outside_supervisor", alreadyStartedOutsideSupervisor},
	{"do_not_save_start_parameters_for_temporary_children", doNotSaveStartParametersForTemporaryChildren},
	{"do_not_save_child_specs_for_temporary_children", doNotSaveChildSpecsForTemporaryChildren},
	{"simple_one_for_one_scale_many_temporary_children", simpleOneForOneScaleManyTemporaryChildren},
	{"scale_start_stop_many_children", scaleStartStopManyChildren},
	{"code_change", codeChange},
	{"code_change_map", codeChangeMap},
	{"code_change_simple", codeChangeSimple},
	{"code_change_simple_map", codeChangeSimpleMap},
}

// leftOut are the cases of the same suite that have no meaning here.
var leftOut = map[string]string{
	"get_callback_module":      "there is no callback module: a Spec is a value",
	"simple_global_supervisor": "a supervisor has no name in a registry; that is for whoever keeps one",
	"format_log_1":             "the layout of OTP's text reports; LogTo hands fields to slog, and a test of its own holds them",
	"format_log_2":             "as format_log_1",
}

func TestSuite(t *testing.T) {
	for _, c := range suite {
		if leftOut[c.name] != "" {
			t.Errorf("%s is both here and left out", c.name)
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(newWorld(t)) })
		})
	}
}

// twice is intensity 2 in an hour, which most cases use.
var twice = Flags{Intensity: 2, Period: time.Hour}

func with(s Strategy, intensity int) Flags {
	return Flags{Strategy: s, Intensity: intensity, Period: time.Hour}
}

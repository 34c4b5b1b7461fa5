package upgrades

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// otp are the names that OTP's manual pages appup, relup, release_handler and systools know, and the cases of
// release_handler_SUITE.
var otp = map[string]string{
	"Instructions of appup": `UpFrom DownTo soft advanced supervisor ModType dynamic static Timeout PrePurge PostPurge brutal_purge
		soft_purge DepMods update load_module add_module delete_module add_application remove_application restart_application`,
	"Instructions of relup": `load_object_code point_of_no_return load remove purge suspend resume code_change stop start sync_nodes
		apply restart_new_emulator restart_emulator mnesia_backup`,
	"release_handler": `unpack_release check_install_release install_release error_action code_change_timeout suspend_timeout
		update_paths make_permanent reboot_old_release remove_release which_releases set_unpacked set_removed install_file
		create_RELEASES upgrade_app downgrade_app upgrade_script downgrade_script eval_appup_script config_change heart masters
		client_directory static_emulator`,
	"systools": `make_relup make_script make_tar on_load`,
	"release_handler_SUITE": `target_system target_system_unicode upgrade upgrade_restart client1 client2 upgrade_gg instructions
		supervisor_which_children_timeout install_release_syntax_check which_releases otp_2740 unicode_upgrade otp_2760 otp_9417
		otp_5761 otp_9402 otp_9395_check_old_code otp_9395_check_and_purge otp_9395_update_many_mods otp_9395_rm_many_mods
		upgrade_supervisor upgrade_supervisor_fail eval_appup eval_appup_with_restart otp_9864 otp_10463 no_dot_erlang`,
}

var word = regexp.MustCompile(`[A-Za-z][A-Za-z0-9_]*`)

// section is the part of README.md under a heading, as rows of cells.
func section(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	must(t, err)
	_, rest, ok := strings.Cut(string(text), "\n### "+heading+"\n")
	if !ok {
		t.Fatalf("README.md has no section %q", heading)
	}
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "#") {
			break
		}
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | "); len(cells) > 1 {
			rows = append(rows, cells)
		}
	}
	return rows
}

func TestEveryNameOfOTPHasItsRow(t *testing.T) {
	for heading, names := range otp {
		known := map[string]bool{}
		for _, row := range section(t, heading) {
			if len(row) != 2 || strings.TrimSpace(row[1]) == "" {
				t.Errorf("%s: %q says nothing", heading, row)
			}
			for _, w := range word.FindAllString(row[0], -1) {
				known[w] = true
			}
		}
		for _, name := range strings.Fields(names) {
			if !known[name] {
				t.Errorf("README.md says nothing of %s under %s", name, heading)
			}
		}
	}
}

// A test that README.md names is there.
func TestTestsOfTheSuiteAreThere(t *testing.T) {
	var code strings.Builder
	for _, pattern := range []string{"*_test.go", "release/*_test.go"} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			must(t, err)
			code.Write(text)
		}
	}
	for _, row := range section(t, "release_handler_SUITE")[1:] {
		cell := row[1]
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			if strings.HasSuffix(name[1], ".txtar") {
				if _, err := os.Stat("../daemon/e2e/testdata/script/" + name[1]); err != nil {
					t.Error(err)
				}
			} else if !strings.Contains(code.String(), "\nfunc "+name[1]+"(t *testing.T)") {
				t.Errorf("there is no %s, for %s", name[1], row[0])
			}
		}
		if !strings.Contains(cell, "`") && !strings.Contains(cell, "left out: ") && !strings.HasPrefix(cell, "---") {
			t.Errorf("%s has no test and no reason", row[0])
		}
	}
}

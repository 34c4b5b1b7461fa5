// Package appup reads the manifest of a service, appup.toml, and compiles from two versions what it takes to go from one
// to the other.
//
//	appup.toml ──Parse──▶ Manifest ─┐
//	                                ├─▶ Version ─┐
//	SERVICE --describe ─────────────┘            ├─Compile─▶ Relup
//	                                  Version ───┘
//
// The newer of the two versions decides, up as well as down: only it can know both shapes of the state.
//
// What holds:
//   - A manifest is strict. A key that is not known, a value of the wrong type, a range that does not parse: each is a
//     [ParseError] with file, line, column, the line itself and a caret, and the nearest known key where there is one.
//     A manifest that Parse returns needs no further checks.
//   - A [Relup] exists only if the state can follow. A table that changed its schema without Steps is an
//     [UncoveredError] that holds the Step to write; a shape that changed under the same version number is one too; a table
//     that vanished without being listed in `drop` is a [DroppedError], and so, upwards, is a verb or a listener without
//     `drop_verbs` or `drop_listeners`. Each error holds the lines that mend it.
//   - Nothing here touches a running instance, a file or a clock: the same input gives the same Relup.
package appup

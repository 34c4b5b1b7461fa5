// Package upgrades takes a running instance from one release to another: it plans, journals, acts, checks, and then
// commits or goes back.
//
//	planned ─ verified ─ started ─ rehearsed ─ following ─┃ switching ─ committed ┃─ probation ─ permanent
//	   └──────────┴─────────┴──────────┴───────────┴───────────┘             └──────────┴── rolling back ─ rolled back
//	                           aborted
//
// Until the record "committed" is in the journal the old versions win, from then on the new ones do; there is no
// third case. Before it everything is prepared beside the versions that serve, which never notice an abort. After it
// the new versions are on probation: each change is written in the old shape too and the old processes stay as
// standbys, so going back is the same switch the other way and loses no write.
//
// The [Engine] writes a record before it acts upon it. After a crash at any instant [Engine.Recover] reads the
// journal and leaves one version of each service active; it may crash itself and be repeated. Processes belong to the
// [Host], which is all that the engine knows of the world.
package upgrades

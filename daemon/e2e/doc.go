// Package e2e drives the real binaries with scripts that a user could have typed: testdata/script/*.txtar.
//
// Each script has its own instance in $DIR with its own ports, a checkout in its working directory whose probations
// last two seconds, and ready packages of every version in $PKGS. Besides the commands of testscript there are:
//
//	start                            theseusd --dir $DIR, until it answers
//	stop                             SIGTERM, and it must end in order
//	await SERVICE VERSION STATUS     until the service runs in that version: running, current or permanent
//	await release NAME               until there is such a release
//	await file PATH                  until there is such a file
//	kill9 daemon|keel|SERVICE        kill -9
//	load start [cache] | load stop   eight connections that count visits, or INCR; prints acked, failed, lost, extra
//	mangle truncate|nobinary|arch    IN OUT: a package that is broken
//	smalldisk SIZE                   puts the instance on a file system of its own, before start; if [smalldisk]
//	filldisk                         fills that with $DIR/fill
//	flood | flood check              counts visits until one is refused; are those that were not all there?
//	pids note | pids same            the services' processes: are they the same ones?
//	exits CODE COMMAND...            runs a command, which must end with that code
//
// $NEXT is a theseusd of version 0.2.0, beside those in $BIN. A THESEUS_FAULT that a script sets reaches theseusd.
// Nothing waits for a fixed time: what is awaited has a deadline.
package e2e

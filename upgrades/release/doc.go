// Package release knows the packages of services: it makes them, refuses bad ones, and keeps good ones in a store from
// which alone a service is ever executed.
//
//	NAME-VERSION.tpk = gzip(tar)           store/DIGEST/          0700, named by the sha256 of the .tpk
//	┌───────────────┐                      ├── package.json       0400
//	│ package.json  │ name, version, os,   ├── appup.toml         0400
//	│               │ arch, digests        ├── describe.json      0400
//	│ appup.toml    │        Add           └── service            0500
//	│ describe.json │ ───────────────────▶
//	│ service       │   one read of the file: hash, unpack
//	└───────────────┘   who says what: file name, package.json, manifest, describe.json, ELF header
//	                    the digest is known, nothing has run yet
//	                    run `service --describe`: it must say what describe.json says
//	                    fsync, rename
//
// What holds:
//   - A directory of the store is whole or not there. What a crash leaves behind is swept by the next OpenStore.
//   - Add reads the file once, through one descriptor, so what was checked is what is kept. It never follows a link, and
//     nothing in a package names a place to write to.
//   - A package that is refused is a [RejectError] with what and why. Errors of this machine, a full disk among them, are
//     not: the package may be good.
//   - Get hashes the binary again, so what is started is what was checked. Whoever can write to the store is already the
//     user that runs the services; Get finds what a bad disk or a slip of the hand did.
//
// A release is a numbered set of packages; [Status] says where it stands:
//
//	Unpacked ──install──▶ Current ──make_permanent──▶ Permanent ──supersede──▶ Old
//	    ▲                   │  ▲                                                │
//	    └────roll_back──────┘  └────────────────────install─────────────────────┘
package release

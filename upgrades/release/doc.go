// Package release knows the packages of services: it makes them, refuses bad ones, and keeps good ones in a store from
// which alone a service is ever executed.
//
//	NAME-VERSION.tpk = gzip(tar)                  store/DIGEST/            0700
//	┌──────────────────────┐                      ├── package.json         0400
//	│ package.json         │ name, version, os,   ├── package.json.minisig 0400
//	│                      │ arch, seq, digests   ├── appup.toml           0400
//	│ package.json.minisig │        Add           ├── describe.json        0400
//	│ appup.toml           │ ───────────────────▶ └── service              0500
//	│ describe.json        │   one read of the file: hash, unpack
//	│ service              │   who vouches for package.json? before anything else is unpacked
//	└──────────────────────┘   each file: is it the one that package.json lists?
//	                           who says what: file name, package.json, manifest, describe.json, ELF header
//	                           run `service --describe`: it must say what describe.json says
//	                           fsync, rename
//
// What holds:
//   - A directory of the store is whole or not there. What a crash leaves behind is swept by the next OpenStore.
//   - Add reads the file once, through one descriptor, so what was checked is what is kept. It never follows a link, and
//     nothing in a package names a place to write to.
//   - A package that is refused is a [RejectError] with what and why. Errors of this machine, a full disk among them, are
//     not: the package may be good.
//   - Nothing is unpacked but two small files, and nothing is executed, before a trusted key has vouched for it.
//   - DIGEST is over name, version, machine and every file. Get hashes all that may have changed, so whoever knows the digest, as the journal
//     does, starts what was checked. Whoever can write to the store is already the user that runs the services.
//   - A version that is here never changes its content.
//
// README.md beside this file lists the attacks, and what is not promised.
//
// A release is a numbered set of packages; [Status] says where it stands:
//
//	Unpacked ──install──▶ Current ──make_permanent──▶ Permanent ──supersede──▶ Old
//	    ▲                   │  ▲                                                │
//	    └────roll_back──────┘  └────────────────────install─────────────────────┘
package release

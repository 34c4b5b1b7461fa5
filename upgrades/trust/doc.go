// Package trust knows whose signatures an instance believes.
//
//	DIR/.theseus/trust/ID.pub     0600  a public key that is trusted, in minisign's format; any number of them
//	DIR/.theseus/trust/revoked    0600  key ids or keys, one a line, # begins a comment; stronger than any ID.pub
//	DIR/.theseus/keys/local.key   0600  the secret key that this machine signs with, in minisign's format
//
// What holds:
//   - Everything is read at each question, so a key that is revoked or removed counts for nothing from then on.
//   - In doubt the answer is no: a missing directory, a line that cannot be read, a file that somebody else owns or can
//     write to. Such an error says nothing about the signature that was asked about.
//   - A signature counts for one text and one trusted comment. The key id in it is a hint: who signed is decided by the
//     key.
//   - Only prehashed signatures count, which is what minisign and rsign make.
//   - Changes are atomic and on disk when the call returns. No link is followed.
//
// The secret key is not encrypted: whoever can read it can act as the user of the instance already.
package trust

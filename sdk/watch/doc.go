// Package watch tells of changes in a folder, as the kernel does, and of a file that has changed.
//
// What the kernel tells may get lost, and some file systems tell nothing: whoever watches also looks by itself every now
// and then. [File] does so; [Folder] is for those who do it themselves.
package watch

package control

// Version of theseusd and its clients; packagers set it by the linker.
var Version = "0.1.0"

package ipc

// Version is the product's version, set by the linker for releases. Agent and
// client tell each other theirs.
var Version = "dev"

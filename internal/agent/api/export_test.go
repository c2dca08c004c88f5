package api

// Observed is tried directly.
var Observed = observed

package doctor

// clockFix sets the clock by the network's.
const clockFix = "w32tm /resync"

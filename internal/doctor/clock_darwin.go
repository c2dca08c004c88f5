package doctor

// clockFix sets the clock by the network's.
const clockFix = "sudo sntp -sS time.apple.com"

package doctor

// clockFix sets the clock by the network's.
const clockFix = "sudo timedatectl set-ntp true, and see: timedatectl"

package provider

// StandInPrefix begins the stand-ins for API tokens that cspctl exec gives to
// programs. No server takes one, and no profile is logged in to with one.
const StandInPrefix = "csp_standin_"

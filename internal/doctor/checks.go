package doctor

// checks is the table, in the order of the report: from the ground up.
var checks = []check{
	{"environment", "the environment", environment},
	{"socket", "the socket", socket},
	{"agent", "the agent", agent},
	{"version", "the versions", versions},
	{"service", "the service", service},
	{"linger", "the end of a login", linger},
	{"settings", "the settings", settings},
	{"files", "the agent's files", files},
	{"disk", "the disk", disk},
	{"keychain", "the keychain", keychainCheck},
	{"file-store", "the file store", fileStore},
	{"proxy", "the proxy", proxy},
	{"server", "the servers", servers},
	{"clock", "the clock", clock},
	{"profile", "the profiles", profiles},
	{"process", "the agent's process", process},
}

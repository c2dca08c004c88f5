package main

// commands is the table that dispatch, help, completion and the manual pages
// are made from, in the order that help shows. A new command is a file of its
// own and a line here.
var commands = []*command{
	&loginCommand,
	&tokenCommand,
	&execCommand,
	&envCommand,
	&curlCommand,
	&expiryCommand,
	&detailsCommand,
	&inspectCommand,
	&statusCommand,
	&profileCommand,
	&logoutCommand,
	&lockCommand,
	&unlockCommand,
	&sinkCommand,
	&openCommand,
	&kubeconfigCommand,
	&doctorCommand,
	&socketCommand,
	&versionCommand,
	&completionCommand,
	&helpCommand,
}

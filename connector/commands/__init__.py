"""The console command's subcommands, a module for each subject."""

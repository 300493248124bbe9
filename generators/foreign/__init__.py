"""Released generators in environments of their own: a TOML file each, for `--plugin`, and the program that it
names, which lays folders out as the repository expects them and calls the repository's own scripts."""

raise SystemExit("a program is not imported")

package main

func scans(a *asm) {}

package main

func tiles(a *asm) {}

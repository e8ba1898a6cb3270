package main

import (
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestArmWord(t *testing.T) {
	for line, want := range map[string]uint32{ // as LLVM's assembler encodes them
		"sdot v31.4s, v17.16b, v9.16b":   0x4e89963f,
		"fcvtl2 v17.4s, v16.8h":          0x4e217a11,
		"fminv s20, v21.4s":              0x6eb0fab4,
		"sshll2 v19.4s, v30.8h, #0":      0x4f10a7d3,
		"smlal2 v24.8h, v20.16b, v8.16b": 0x4e288298,
	} {
		if got := armWord(line); got != want {
			t.Errorf("%s is %#08x, want %#08x", line, got, want)
		}
	}
}

func TestGoOperands(t *testing.T) {
	for arm, want := range map[string]string{
		"v0.4s, v1.4s, v22.4s":       "V22.S4, V1.S4, V0.S4",
		"v3.16b, v4.16b, #4":         "$4, V4.B16, V3.B16",
		"v5.16b, {v6.16b}, v7.16b":   "V7.B16, [V6.B16], V5.B16",
		"s20, v20.4s":                "V20.S4, V20",
		"v12.8h, v12.8h, v19.8b":     "V19.B8, V12.H8, V12.H8",
		"v22.4s, v8.8h, #0":          "$0, V8.H8, V22.S4",
		"v20.16b, v20.16b, v29.16b":  "V29.B16, V20.B16, V20.B16",
		"v10.4s, v10.4s, v8.4s":      "V8.S4, V10.S4, V10.S4",
		"v16.16b, v16.16b":           "V16.B16, V16.B16",
		"v1.16b, {v30.16b}, v31.16b": "V31.B16, [V30.B16], V1.B16",
	} {
		if got := goOperands(arm); got != want {
			t.Errorf("%s becomes %s, want %s", arm, got, want)
		}
	}
}

// TestArmWordsByAssembler encodes every instruction of the table, with registers spread over their fields, by LLVM.
func TestArmWordsByAssembler(t *testing.T) {
	mc, err := exec.LookPath("llvm-mc")
	if err != nil {
		t.Skip("llvm-mc (Debian package llvm) is not installed")
	}
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(armWords)) {
		regs := []string{"${1}21", "${1}10", "${1}31"}
		line, i := key, 0
		line = armRegister.ReplaceAllStringFunc(line, func(r string) string {
			i++
			return armRegister.ReplaceAllString(r, regs[i-1])
		})
		lines = append(lines, line)
	}
	cmd := exec.Command(mc, "-triple=aarch64", "-mattr=+dotprod", "-show-encoding")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	found := regexp.MustCompile(`encoding: \[0x(..),0x(..),0x(..),0x(..)\]`).FindAllStringSubmatch(string(text), -1)
	if len(found) != len(lines) {
		t.Fatalf("%d encodings of %d instructions: %s", len(found), len(lines), text)
	}
	for i, m := range found {
		want := strings.Join([]string{m[4], m[3], m[2], m[1]}, "")
		if got := word8(armWord(lines[i])); got != want {
			t.Errorf("%s is %s, want %s", lines[i], got, want)
		}
	}
}

func word8(w uint32) string { return fmt.Sprintf("%08x", w) }

package vectorbench

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
)

// fine is how many times finer than the picture lines are drawn; the mean of the fine pixels smooths edges.
const fine = 3

// pixels is a canvas over an image.
type pixels struct{ img *image.RGBA }

func drawPNG(c *chart) ([]byte, error) {
	p := pixels{image.NewRGBA(image.Rect(0, 0, chartWidth*fine, chartHeight*fine))}
	for i := range p.img.Pix {
		p.img.Pix[i] = 255
	}
	c.draw(p)
	var out bytes.Buffer
	err := png.Encode(&out, p.smooth())
	return out.Bytes(), err
}

func (p pixels) smooth() *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, chartWidth, chartHeight))
	for y := range chartHeight {
		for x := range chartWidth {
			var sum [3]int
			for i := range fine * fine {
				c := p.img.RGBAAt(x*fine+i%fine, y*fine+i/fine)
				sum[0], sum[1], sum[2] = sum[0]+int(c.R), sum[1]+int(c.G), sum[2]+int(c.B)
			}
			const n = fine * fine
			out.SetRGBA(x, y, color.RGBA{uint8(sum[0] / n), uint8(sum[1] / n), uint8(sum[2] / n), 255})
		}
	}
	return out
}

func (p pixels) dot(x, y, radius float64, c rgb) {
	x, y, radius = x*fine, y*fine, radius*fine
	for j := int(y - radius); j <= int(y+radius)+1; j++ {
		for i := int(x - radius); i <= int(x+radius)+1; i++ {
			if math.Hypot(float64(i)-x, float64(j)-y) <= radius {
				p.img.SetRGBA(i, j, color.RGBA{c.r, c.g, c.b, 255})
			}
		}
	}
}

func (p pixels) line(x1, y1, x2, y2, width float64, c rgb) {
	steps := math.Ceil(math.Hypot(x2-x1, y2-y1) * fine)
	for i := range int(steps) + 1 {
		t := float64(i) / max(steps, 1)
		p.dot(x1+(x2-x1)*t, y1+(y2-y1)*t, width/2, c)
	}
}

// cell is the side of a glyph's pixel in the picture.
const cell = 2

func (p pixels) text(x, y float64, at anchor, c rgb, s string) {
	s = strings.ToUpper(s)
	width := float64(len([]rune(s))*4*cell - cell)
	x -= width / 2 * float64(at)
	y -= 2.5 * cell
	for _, r := range s {
		for i, bit := range glyph(r) {
			if bit == '#' {
				p.fill(x+float64(i%3*cell), y+float64(i/3*cell), c)
			}
		}
		x += 4 * cell
	}
}

func (p pixels) fill(x, y float64, c rgb) {
	for j := range cell * fine {
		for i := range cell * fine {
			p.img.SetRGBA(int(x*fine)+i, int(y*fine)+j, color.RGBA{c.r, c.g, c.b, 255})
		}
	}
}

// glyph is the shape of a capital, digit or mark: five rows of three.
func glyph(r rune) string {
	const font = `A:.#.#.#####.##.# B:##.#.###.#.###. C:.###..#..#...## D:##.#.##.##.###. E:####..##.#..### F:####..##.#..#.. G:.###..#.##.#.## ` +
		`H:#.##.#####.##.# I:###.#..#..#.### J:..#..#..##.#.#. K:#.##.###.#.##.# L:#..#..#..#..### M:#.########.##.# N:##.#.##.##.##.# ` +
		`O:.#.#.##.##.#.#. P:##.#.###.#..#.. Q:.#.#.##.###..## R:##.#.###.#.##.# S:.###...#...###. T:###.#..#..#..#. U:#.##.##.##.#### ` +
		`V:#.##.##.##.#.#. W:#.##.########.# X:#.##.#.#.#.##.# Y:#.##.#.#..#..#. Z:###..#.#.#..### ` +
		`0:####.##.##.#### 1:.#.##..#..#.### 2:###..#####..### 3:###..####..#### 4:#.##.####..#..# 5:####..###..#### 6:####..####.#### ` +
		`7:###..#.#..#..#. 8:####.#####.#### 9:####.####..#### .:............#.. ,:..........#.#.. ::....#.....#.... -:......###...... =:...###...###... ` +
		`/:..#..#.#.#..#.. (:..#.#..#..#...# ):#...#..#..#.#.. @:####.##.##..### _:............### %:#.#..#.#.#..#.# +:....#.###.#.... `
	key := string(r) + ":"
	for rest := font; len(rest) > 0; {
		end := strings.IndexByte(rest, ' ')
		if strings.HasPrefix(rest, key) {
			return rest[len(key):end]
		}
		rest = rest[end+1:]
	}
	return ""
}

// Package glob matches keys and channels with patterns, as Redis does.
package glob

// Match says whether text fits a pattern as Redis means it: * is any run of bytes, ? one byte, [a-c] one of a class,
// [^a-c] one not in it, and \ takes the next byte literally. It backtracks to the last * alone, so no pattern takes
// more than len(pattern) * len(text) steps.
func Match(pattern, text []byte) bool {
	p, t := 0, 0
	star, mark := -1, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, t
			p++
			continue
		}
		if width, ok := matchOne(pattern[p:], text[t]); ok {
			p, t = p+width, t+1
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, t = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches b with the first element of the pattern, which is not a *, and tells how many bytes that takes.
func matchOne(pattern []byte, b byte) (width int, ok bool) {
	switch {
	case len(pattern) == 0:
		return 0, false
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return matchClass(pattern, b)
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == b
	}
	return 1, pattern[0] == b
}

// matchClass matches b with the class that the pattern begins with. A class that is not closed ends with the pattern.
func matchClass(pattern []byte, b byte) (width int, ok bool) {
	i := 1
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			ok = ok || pattern[i] == b
		case i+2 < len(pattern) && pattern[i+1] == '-':
			low, high := min(pattern[i], pattern[i+2]), max(pattern[i], pattern[i+2])
			ok = ok || low <= b && b <= high
			i += 2
		default:
			ok = ok || pattern[i] == b
		}
	}
	return min(i+1, len(pattern)), ok != not
}

package auth

import (
	"sync"
	"time"
)

const (
	// mostRemembered is how many tokens are remembered, about.
	mostRemembered = 10_000
	// longestRemembered is the longest token that is, in bytes: it bounds what they
	// take together.
	longestRemembered = 2 << 10
)

// remembered are tokens that were found good, so that their signatures are not
// checked again with each request. One that was not good is never among them: whoever
// makes tokens up pushes out nobody's. The tokens that came longest ago go first:
// those of two generations are kept, and one that is used enters the younger.
type remembered struct {
	mu             sync.RWMutex // guards the fields below; held for moments
	younger, older map[Hash]goodToken
}

// goodToken is what is known of a token.
type goodToken struct {
	principal Principal
	keys      *[]fetchedKey // those that were known when it was checked; nil for keys that never change
}

// good reports whether what is known still holds: until the token expires, or other
// keys are known.
func (g goodToken) good(keys *[]fetchedKey) bool {
	return (g.keys == nil || g.keys == keys) && time.Now().Before(g.principal.Expires)
}

// recall returns whom the token names, if that is known.
func (r *remembered) recall(hash Hash, keys *[]fetchedKey) (Principal, bool) {
	r.mu.RLock()
	g, young := r.younger[hash]
	if !young {
		g = r.older[hash] // or the zero one, which has expired
	}
	r.mu.RUnlock()
	if !g.good(keys) {
		return Principal{}, false
	}
	if !young {
		r.enter(hash, g)
	}
	return g.principal, true
}

// enter remembers a token that is good.
func (r *remembered) enter(hash Hash, g goodToken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.younger == nil || len(r.younger) >= mostRemembered/2 {
		r.younger, r.older = map[Hash]goodToken{}, r.younger
	}
	r.younger[hash] = g
}

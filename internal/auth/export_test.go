package auth

import "fmt"

// PolicyTable is the policy as it stands in docs/auth.md.
func PolicyTable() string {
	text := map[share]string{not: "-", own: "own", all: "all"}
	table := "| | user | worker | backend | support | admin | guest |\n|---|---|---|---|---|---|---|\n"
	for _, r := range policy() {
		table += fmt.Sprintf("| %s |", r.text)
		for _, role := range append(Roles(), RoleGuest) {
			table += fmt.Sprintf(" %s |", text[r.of(role)])
		}
		table += "\n"
	}
	return table
}

// MostRemembered is how many tokens are remembered.
const MostRemembered = mostRemembered

// Remembered is how many tokens the Verifier remembers.
func (v *Verifier) Remembered() int {
	v.known.mu.RLock()
	defer v.known.mu.RUnlock()
	return len(v.known.younger) + len(v.known.older)
}

// Remembers reports whether the Verifier remembers the token.
func (v *Verifier) Remembers(token string) bool {
	_, ok := v.known.recall(HashOf(token), v.issuer.fetched())
	return ok
}

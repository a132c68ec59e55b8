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

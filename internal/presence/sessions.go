package presence

import (
	"maps"
	"slices"
)

// sessions are those that nodes have with the database, by the node's name: in how many looks
// since it was last there it was missing.
type sessions map[string]int

// missedLooks is in how many looks a session is missing until it is forgotten: by then,
// the node's streams have been ended, if it was silent.
const missedLooks = 4

// note takes a look. A node that is not among those connected itself has lost its session
// as the others may have, such as by a restart of the database, and learns nothing from theirs.
func (s *sessions) note(self string, connected []string) {
	if *s == nil || !slices.Contains(connected, self) {
		*s = sessions{}
	}
	for node := range *s {
		(*s)[node]++
	}
	for _, node := range connected {
		(*s)[node] = 0
	}
	maps.DeleteFunc(*s, func(_ string, missed int) bool { return missed > missedLooks })
}

// ended are the nodes that had a session and have none.
func (s *sessions) ended() (nodes []string) {
	for node, missed := range *s {
		if missed > 0 {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

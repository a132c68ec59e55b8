package doctor

// Room is the judgment of how much room there is.
func Room(dir string, free uint64) Finding { return room(dir, free) }

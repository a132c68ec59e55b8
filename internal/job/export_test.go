package job

// GuestKnows reports whether it is decided what guests see of the field.
func GuestKnows(name string) bool {
	_, ok := guestSights()[name]
	return ok
}

package auth

import "errors"

// TicketPrefix is what every ticket begins with.
const TicketPrefix = "ht_"

// ErrBadTicket means that a ticket was used before, has expired, or never was one.
var ErrBadTicket = errors.New("the ticket was used before, has expired, or is none: make another")

// NewTicket returns a ticket, which is 256 bits of chance. Whose it is, and for how
// long it is good, stands where its HashOf is kept.
func NewTicket() string { return newSecret(TicketPrefix) }

// IsTicket reports whether the text looks like a ticket.
func IsTicket(text string) bool { return isSecret(text, TicketPrefix) }

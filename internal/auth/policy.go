package auth

import "strings"

// The policy. Everything that is not allowed here is refused.
//
//	                      user    worker  backend  support  admin
//	follow user:SELF      yes     yes     yes      yes      yes
//	follow all            yes     yes     yes      yes      yes
//	follow other topics   -       -       -        yes      yes
//	start jobs            yes     -       yes      -        yes
//	see a job             own     -       -        yes      yes
//	cancel, retry, delete own     -       -        -        yes
//	see an artifact       own     -       -        yes      yes
//	see a node's metrics  -       -       yes      yes      yes
//	see who is there      self    -       yes      yes      yes
//	end a stream          own     -       yes      -        yes
//	acknowledge a stream  own     own     own      own      own

// MayFollow reports whether the principal may follow the topic.
func (p Principal) MayFollow(topic string) bool {
	user, ok := strings.CutPrefix(topic, "user:")
	return topic == "all" || ok && user == p.User || p.Is(RoleSupport, RoleAdmin)
}

// MayStart reports whether the principal may start jobs and upload what they
// need, in its own name.
func (p Principal) MayStart() bool { return p.Is(RoleUser, RoleBackend, RoleAdmin) }

// MaySee reports whether the principal may see what the owner has.
func (p Principal) MaySee(owner string) bool {
	return p.Is(RoleUser) && p.User == owner || p.Is(RoleSupport, RoleAdmin)
}

// MayChange reports whether the principal may change what the owner has.
func (p Principal) MayChange(owner string) bool {
	return p.Is(RoleUser) && p.User == owner || p.Is(RoleAdmin)
}

// MayMeasure reports whether the principal may see a node's metrics.
func (p Principal) MayMeasure() bool { return p.Is(RoleBackend, RoleSupport, RoleAdmin) }

// MayWatch reports whether the principal may see whether the user is there, and
// how; of the empty user, it is everybody.
func (p Principal) MayWatch(user string) bool {
	return p.Is(RoleUser) && p.User == user || p.Is(RoleBackend, RoleSupport, RoleAdmin)
}

// MayDisconnect reports whether the principal may end the user's streams.
func (p Principal) MayDisconnect(user string) bool {
	return p.Is(RoleUser) && p.User == user || p.Is(RoleBackend, RoleAdmin)
}

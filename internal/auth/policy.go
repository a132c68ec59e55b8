package auth

import "strings"

// The policy. Everything that is not allowed here is refused.
//
//	                      user    worker  backend  support  admin
//	follow user:SELF      yes     yes     yes      yes      yes
//	follow all            yes     yes     yes      yes      yes
//	follow other topics   -       -       -        yes      yes
//	start jobs            yes     -       yes      -        yes
//	- that run elsewhere  -       yes     yes      -        yes
//	- that concern others -       yes     yes      -        yes
//	claim those elsewhere -       yes     yes      -        yes
//	report on them, and   -       theirs  theirs   -        yes
//	  see them            own     theirs  theirs   yes      yes
//	see a job             own     -       -        yes      yes
//	cancel, retry, delete own     -       -        own      yes
//	start an export       own     -       own      yes      yes
//	see an artifact       own     -       -        yes      yes
//	link to an artifact   own     -       -        own      yes
//	see a node's metrics  -       -       yes      yes      yes
//	see who is there      self    -       yes      yes      yes
//	end a stream          own     -       yes      -        yes
//	acknowledge a stream  own     own     own      own      own

// MayFollow reports whether the principal may follow the topic.
func (p Principal) MayFollow(topic string) bool {
	user, ok := strings.CutPrefix(topic, "user:")
	return topic == "all" || ok && user == p.User || p.Is(RoleSupport, RoleAdmin)
}

// A job that runs elsewhere is theirs who started it, or have claimed it last.

// MayUpload reports whether the principal may upload what jobs need.
func (p Principal) MayUpload() bool { return p.MayStart(false) }

// MayStart reports whether the principal may start jobs: such that run elsewhere,
// or others.
func (p Principal) MayStart(elsewhere bool) bool {
	return p.Is(RoleBackend, RoleAdmin) || p.Is(RoleWorker) && elsewhere || p.Is(RoleUser) && !elsewhere
}

// MayStartForOthers reports whether the principal may start jobs in another's
// name, and have others watch them.
func (p Principal) MayStartForOthers() bool { return p.Is(RoleWorker, RoleBackend, RoleAdmin) }

// MayClaim reports whether the principal may run jobs that wait for a worker
// elsewhere.
func (p Principal) MayClaim() bool { return p.Is(RoleWorker, RoleBackend, RoleAdmin) }

// MayReport reports whether the principal may say how a job that runs elsewhere
// is doing, and see it.
func (p Principal) MayReport(createdBy, claimedBy string) bool {
	return p.Is(RoleWorker, RoleBackend) && (p.User == createdBy || p.User == claimedBy) || p.Is(RoleAdmin)
}

// MaySee reports whether the principal may see what the owner has.
func (p Principal) MaySee(owner string) bool {
	return p.Is(RoleUser) && p.User == owner || p.Is(RoleSupport, RoleAdmin)
}

// MayChange reports whether the principal may change what the owner has. What
// support has are its own exports.
func (p Principal) MayChange(owner string) bool {
	return p.Is(RoleUser, RoleSupport) && p.User == owner || p.Is(RoleAdmin)
}

// MayExport reports whether the principal may start exports, in its own name. A
// dataset says itself for which roles it is.
func (p Principal) MayExport() bool { return p.Is(RoleUser, RoleBackend, RoleSupport, RoleAdmin) }

// MayExportAll reports whether exports show the principal everybody's rows, and
// not its own alone.
func (p Principal) MayExportAll() bool { return p.Is(RoleSupport, RoleAdmin) }

// MayLink reports whether the principal may make a link that shows a file of the
// owner's to whoever has it.
func (p Principal) MayLink(owner string) bool { return p.MayChange(owner) }

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

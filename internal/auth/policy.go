package auth

import (
	"slices"
	"strings"

	"github.com/google/uuid"
)

// share says on whose things a role may do a deed.
type share uint8

const (
	not share = iota // nobody's
	own              // their own
	all              // everybody's
)

// deed is something that not everybody may do.
type deed uint8

const (
	follow deed = iota
	start
	startElsewhere
	startForOthers
	claim
	report
	see
	change
	link
	shareJob
	export
	measure
	watch
	disconnect
	acknowledge
	publish
	readLog
	readQueue
	deeds // how many there are
)

// rule is a line of the policy.
type rule struct {
	user, worker, backend, support, admin, guest share

	text string
}

// policy is all of it: what it does not allow is refused, and who has several
// roles may do what any of them may. A topic is one's own when it is all, or
// user: and one's own name; a job that runs elsewhere, when one has started it or
// claimed it last; any other thing, when one is its owner. What the topics of a
// token or a key grant comes on top, and is to follow and to see, never to change.
// A guest's own is the one job that its share shows, and nothing else.
func policy() [deeds]rule {
	return [deeds]rule{
		//             user wrkr back supp admin guest
		follow:         {own, own, own, all, all, own, "follow a topic"},
		start:          {own, not, own, not, own, not, "start a job, upload"},
		startElsewhere: {not, own, own, not, own, not, "start a job that runs elsewhere"},
		startForOthers: {not, all, all, not, all, not, "start a job that concerns others"},
		claim:          {not, all, all, not, all, not, "list and claim jobs that wait elsewhere"},
		report:         {not, own, own, not, all, not, "report on such a job, see and follow it"},
		see:            {own, not, own, all, all, own, "see a job or a file"},
		change:         {own, not, own, own, all, not, "cancel, retry or delete a job"},
		link:           {own, not, own, own, all, not, "make a link to a file"},
		shareJob:       {own, not, own, not, all, not, "share a job by a link"},
		export:         {own, not, own, all, all, not, "export"},
		measure:        {not, not, all, all, all, not, "see a node's metrics"},
		watch:          {own, not, all, all, all, not, "see who is there"},
		disconnect:     {own, not, all, not, all, not, "end a stream"},
		acknowledge:    {own, own, own, own, own, not, "acknowledge a stream"},
		publish:        {not, not, all, not, all, not, "publish an event"},
		readLog:        {own, own, own, all, all, own, "read the history of a topic"},
		readQueue:      {not, not, not, not, all, not, "look into the queue"},
	}
}

// of is the share that the role has.
func (r rule) of(role Role) share {
	switch role {
	case RoleUser:
		return r.user
	case RoleWorker:
		return r.worker
	case RoleBackend:
		return r.backend
	case RoleSupport:
		return r.support
	case RoleAdmin:
		return r.admin
	case RoleGuest:
		return r.guest
	default:
		return not
	}
}

// share is the largest that one of the principal's roles has in the deed.
func (p Principal) share(d deed) share {
	most, r := not, policy()[d]
	for _, role := range p.Roles {
		most = max(most, r.of(role))
	}
	return most
}

// may reports whether the principal may do the deed to what is its own, or not.
func (p Principal) may(d deed, isOwn bool) bool {
	s := p.share(d)
	return s == all || s == own && isOwn
}

// granted reports whether the principal's own topics have that one among them.
func (p Principal) granted(topic string) bool {
	if topic == AuditTopic {
		return slices.Contains(p.Topics, AuditTopic)
	}
	return slices.ContainsFunc(p.Topics, func(pattern Pattern) bool { return pattern.Match(topic) })
}

// MayFollow reports whether the principal may follow the topic.
func (p Principal) MayFollow(topic string) bool {
	if p.IsGuest() {
		return p.may(follow, topic == "job:"+p.Share.Job.String())
	}
	user, ok := strings.CutPrefix(topic, "user:")
	return p.may(follow, topic == "all" || ok && user == p.User) || p.granted(topic)
}

// MayReadLog reports whether the principal may read the history of every topic,
// and not only of those that it may follow.
func (p Principal) MayReadLog() bool { return p.may(readLog, false) }

// MayReadQueue reports whether the principal may look at what waits for workers, at
// who has it, and at how it failed.
func (p Principal) MayReadQueue() bool { return p.may(readQueue, false) }

// MayUpload reports whether the principal may upload what jobs need.
func (p Principal) MayUpload() bool { return p.may(start, true) }

// MayStart reports whether the principal may start jobs: such that run elsewhere,
// or others.
func (p Principal) MayStart(elsewhere bool) bool {
	if elsewhere {
		return p.may(startElsewhere, true)
	}
	return p.may(start, true)
}

// MayStartForOthers reports whether the principal may start jobs in another's
// name, and have others watch them.
func (p Principal) MayStartForOthers() bool { return p.may(startForOthers, false) }

// MayClaim reports whether the principal may run jobs that wait for a worker
// elsewhere.
func (p Principal) MayClaim() bool { return p.may(claim, false) }

// MayReport reports whether the principal may say how a job that runs elsewhere
// is doing, and see it.
func (p Principal) MayReport(createdBy, claimedBy string) bool {
	return p.may(report, p.User == createdBy || p.User == claimedBy)
}

// MaySee reports whether the principal may see what the owner has.
func (p Principal) MaySee(owner string) bool { return p.may(see, p.User == owner) }

// MaySeeJob reports whether the principal may see the owner's job, or because it
// may follow what would tell of it.
func (p Principal) MaySeeJob(owner, id string) bool {
	if p.IsGuest() {
		return p.may(see, id == p.Share.Job.String())
	}
	return p.MaySee(owner) || p.granted("job:"+id) || p.granted("user:"+owner)
}

// MayChange reports whether the principal may change what the owner has. What
// support has are its own exports.
func (p Principal) MayChange(owner string) bool { return p.may(change, p.User == owner) }

// MayExport reports whether the principal may start exports, in its own name. A
// dataset says itself for which roles it is.
func (p Principal) MayExport() bool { return p.may(export, true) }

// MayExportAll reports whether exports show the principal everybody's rows, and
// not its own alone.
func (p Principal) MayExportAll() bool { return p.may(export, false) }

// MayLink reports whether the principal may make a link that shows a file of the
// owner's to whoever has it.
func (p Principal) MayLink(owner string) bool { return p.may(link, p.User == owner) }

// MayShare reports whether the principal may make a link that shows the owner's job
// to whoever has it, and revoke such links.
func (p Principal) MayShare(owner string) bool { return p.may(shareJob, p.User == owner) }

// MayMeasure reports whether the principal may see a node's metrics.
func (p Principal) MayMeasure() bool { return p.may(measure, false) }

// MayWatch reports whether the principal may see whether the user is there, and
// how; of the empty user, it is everybody.
func (p Principal) MayWatch(user string) bool { return p.may(watch, p.User == user) }

// MayDisconnect reports whether the principal may end the user's streams.
func (p Principal) MayDisconnect(user string) bool { return p.may(disconnect, p.User == user) }

// MayAcknowledge reports whether the principal may say how far it has come on its
// streams.
func (p Principal) MayAcknowledge() bool { return p.may(acknowledge, true) }

// MayPublish reports whether the principal may publish events of its own, to
// whomever it likes.
func (p Principal) MayPublish() bool { return p.may(publish, false) }

// MayPublishTo reports whether the principal may publish to the topic: an API key
// with topics may to those alone.
func (p Principal) MayPublishTo(topic string) bool {
	return p.MayPublish() && (p.Key == uuid.Nil || len(p.Topics) == 0 || p.granted(topic))
}

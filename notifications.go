package herald

// Notification is what a back end tells people in one of Herald's own forms: the
// server checks it against the form's JSON schema, so that those who show it may
// rely on its fields. What fits none of them is a Message with an event's name
// and fields of your own.
type Notification interface {
	// EventType is the type of the event that it becomes.
	EventType() string
}

// The types of events that Notifications become.
const (
	NotificationPayment  = "notification.payment"
	NotificationAccount  = "notification.account"
	NotificationSystem   = "notification.system"
	NotificationPost     = "notification.post"
	NotificationProfile  = "notification.profile"
	NotificationActivity = "notification.activity"
	NotificationVideo    = "notification.video"
	NotificationExport   = "notification.export"
)

// PaymentNotification tells of a payment.
type PaymentNotification struct {
	PaymentID string         `json:"payment_id" minLength:"1" maxLength:"200"`
	Status    string         `json:"status" enum:"pending,succeeded,failed,refunded,cancelled"`
	Amount    string         `json:"amount" pattern:"^-?[0-9]{1,15}(\\.[0-9]{1,6})?$" doc:"A decimal number, such as 12.50."`
	Currency  string         `json:"currency" pattern:"^[A-Z]{3}$" doc:"As in ISO 4217, such as EUR."`
	Reference string         `json:"reference,omitempty" maxLength:"200" doc:"What it is for, such as an invoice's number."`
	URL       string         `json:"url,omitempty" maxLength:"2000" doc:"Where to see more."`
	Message   string         `json:"message,omitempty" maxLength:"1000" doc:"For people."`
	Details   map[string]any `json:"details,omitempty" doc:"Anything else."`
}

// EventType is NotificationPayment.
func (PaymentNotification) EventType() string { return NotificationPayment }

// AccountNotification tells of a user's account.
type AccountNotification struct {
	UserID  string         `json:"user_id" minLength:"1" maxLength:"200"`
	Action  string         `json:"action" enum:"created,verified,updated,signed_in,password_changed,email_changed,locked,unlocked,deleted"`
	Message string         `json:"message,omitempty" maxLength:"1000" doc:"For people."`
	Details map[string]any `json:"details,omitempty" doc:"Anything else."`
}

// EventType is NotificationAccount.
func (AccountNotification) EventType() string { return NotificationAccount }

// SystemNotification tells how a part of a system is.
type SystemNotification struct {
	Component string         `json:"component" minLength:"1" maxLength:"200"`
	Status    string         `json:"status" enum:"operational,degraded,outage,maintenance"`
	Severity  string         `json:"severity,omitempty" enum:"info,warning,critical"`
	StartsAt  string         `json:"starts_at,omitempty" format:"date-time" doc:"As in RFC 3339."`
	EndsAt    string         `json:"ends_at,omitempty" format:"date-time" doc:"As in RFC 3339."`
	URL       string         `json:"url,omitempty" maxLength:"2000" doc:"Where to see more."`
	Message   string         `json:"message,omitempty" maxLength:"1000" doc:"For people."`
	Details   map[string]any `json:"details,omitempty" doc:"Anything else."`
}

// EventType is NotificationSystem.
func (SystemNotification) EventType() string { return NotificationSystem }

// PostNotification tells of a post.
type PostNotification struct {
	PostID  string         `json:"post_id" minLength:"1" maxLength:"200"`
	Action  string         `json:"action" enum:"created,published,updated,deleted,commented,liked,shared"`
	Title   string         `json:"title,omitempty" maxLength:"300"`
	Author  string         `json:"author,omitempty" maxLength:"200" doc:"Who wrote it."`
	By      string         `json:"by,omitempty" maxLength:"200" doc:"Who has done it."`
	URL     string         `json:"url,omitempty" maxLength:"2000" doc:"Where to see it."`
	Message string         `json:"message,omitempty" maxLength:"1000" doc:"For people."`
	Details map[string]any `json:"details,omitempty" doc:"Anything else."`
}

// EventType is NotificationPost.
func (PostNotification) EventType() string { return NotificationPost }

// ProfileNotification tells of a user's profile.
type ProfileNotification struct {
	UserID  string         `json:"user_id" minLength:"1" maxLength:"200"`
	Action  string         `json:"action" enum:"updated,avatar_changed,name_changed,status_changed,visibility_changed"`
	Message string         `json:"message,omitempty" maxLength:"1000" doc:"For people."`
	Details map[string]any `json:"details,omitempty" doc:"Anything else, such as what it is now."`
}

// EventType is NotificationProfile.
func (ProfileNotification) EventType() string { return NotificationProfile }

// ActivityNotification tells what a user has done.
type ActivityNotification struct {
	UserID  string         `json:"user_id" minLength:"1" maxLength:"200" doc:"Who has done it."`
	Action  string         `json:"action" minLength:"1" maxLength:"100" doc:"A word of your own, such as followed."`
	Object  string         `json:"object,omitempty" maxLength:"300" doc:"To whom or what."`
	URL     string         `json:"url,omitempty" maxLength:"2000" doc:"Where to see it."`
	Message string         `json:"message,omitempty" maxLength:"1000" doc:"For people."`
	Details map[string]any `json:"details,omitempty" doc:"Anything else."`
}

// EventType is NotificationActivity.
func (ActivityNotification) EventType() string { return NotificationActivity }

// VideoNotification tells how a video is doing that is processed elsewhere; of
// those that Herald processes, its job tells.
type VideoNotification struct {
	VideoID  string         `json:"video_id" minLength:"1" maxLength:"200"`
	Status   string         `json:"status" enum:"queued,processing,succeeded,failed,cancelled"`
	Progress *float64       `json:"progress,omitempty" minimum:"0" maximum:"1" doc:"Share of the whole that is done."`
	Step     string         `json:"step,omitempty" maxLength:"80" doc:"What is being done."`
	URL      string         `json:"url,omitempty" maxLength:"2000" doc:"Where to see it."`
	Error    string         `json:"error,omitempty" maxLength:"3000" doc:"What went wrong."`
	Message  string         `json:"message,omitempty" maxLength:"1000" doc:"For people."`
	Details  map[string]any `json:"details,omitempty" doc:"Anything else."`
}

// EventType is NotificationVideo.
func (VideoNotification) EventType() string { return NotificationVideo }

// ExportNotification tells how an export is doing that is made elsewhere; of those
// that Herald makes, its job tells.
type ExportNotification struct {
	ExportID  string         `json:"export_id" minLength:"1" maxLength:"200"`
	Status    string         `json:"status" enum:"queued,processing,succeeded,failed,cancelled"`
	Progress  *float64       `json:"progress,omitempty" minimum:"0" maximum:"1" doc:"Share of the whole that is done."`
	Format    string         `json:"format,omitempty" maxLength:"80" doc:"Such as csv."`
	Rows      *int64         `json:"rows,omitempty" minimum:"0"`
	Bytes     *int64         `json:"bytes,omitempty" minimum:"0"`
	URL       string         `json:"url,omitempty" maxLength:"2000" doc:"Where to fetch it."`
	ExpiresAt string         `json:"expires_at,omitempty" format:"date-time" doc:"Until when it can be fetched, as in RFC 3339."`
	Error     string         `json:"error,omitempty" maxLength:"3000" doc:"What went wrong."`
	Message   string         `json:"message,omitempty" maxLength:"1000" doc:"For people."`
	Details   map[string]any `json:"details,omitempty" doc:"Anything else."`
}

// EventType is NotificationExport.
func (ExportNotification) EventType() string { return NotificationExport }

// Notifications returns one of each, empty, in the order of their types.
func Notifications() []Notification {
	return []Notification{
		AccountNotification{},
		ActivityNotification{},
		ExportNotification{},
		PaymentNotification{},
		PostNotification{},
		ProfileNotification{},
		SystemNotification{},
		VideoNotification{},
	}
}

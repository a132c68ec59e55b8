// Package config is Herald's settings: what they are called, what they default
// to, and whether they make sense together. Flags and variables are read by
// the program; this package only says which there are.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config is the settings of a node. The tags are kong's.
type Config struct {
	Addr           string        `help:"Address to serve on, host:port; port 0 takes a free one." default:"127.0.0.1:8080" env:"HERALD_ADDR" placeholder:"HOST:PORT"`
	DatabaseURL    string        `help:"Postgres to use. Without it, 'herald up' runs one of its own." env:"HERALD_DATABASE_URL,DATABASE_URL" placeholder:"URL"`
	DirectURL      string        `name:"direct-database-url" help:"The same Postgres past any transaction pooler, for what needs a session." env:"HERALD_DIRECT_DATABASE_URL" placeholder:"URL"`
	DataDir        string        `help:"Folder of Herald's own: keys, files, its Postgres (default ${data_dir})." env:"HERALD_DATA_DIR" placeholder:"DIR"`
	BlobURL        string        `help:"Where uploads and results are kept (default: a folder in the data folder)." env:"HERALD_BLOB_URL" placeholder:"URL"`
	KeyFile        string        `help:"The key that signs and checks tokens (default: signing.key in the data folder, made when missing)." env:"HERALD_KEY_FILE" placeholder:"FILE"`
	DatasetsDir    string        `help:"Folder of SQL files that can be exported, besides events and jobs (default: none)." env:"HERALD_DATASETS_DIR" placeholder:"DIR"`
	ExportURL      string        `name:"export-database-url" help:"Postgres that exports are read from, such as a replica or a role that only reads (default: the database)." env:"HERALD_EXPORT_DATABASE_URL" placeholder:"URL"`
	PostgresBin    string        `help:"Folder of the Postgres programs for 'herald up' (default: the newest found)." env:"HERALD_POSTGRES_BIN" placeholder:"DIR"`
	Node           string        `help:"This node's name; no two that run at once may share it (default: made up)." env:"HERALD_NODE" placeholder:"NAME"`
	Workers        int           `help:"Jobs worked at once." default:"2" env:"HERALD_WORKERS"`
	WorkerLease    time.Duration `help:"How long a worker may be silent before it loses its job, unless the job says otherwise." default:"10m" env:"HERALD_WORKER_LEASE"`
	CancelTimeout  time.Duration `help:"How long a worker has to answer that it is to stop, before its job is cancelled without it." default:"1m" env:"HERALD_CANCEL_TIMEOUT"`
	MaxUploadSize  Bytes         `help:"Largest upload, such as 500MiB or 20GiB." default:"20GB" env:"HERALD_MAX_UPLOAD_SIZE"`
	MaxUploads     int           `help:"Uploads of one user under way at once." default:"20" env:"HERALD_MAX_UPLOADS"`
	MaxUploadsSize Bytes         `name:"max-uploads-size" help:"How large those may be together, by what they promise; a single one may have --max-upload-size." default:"50GiB" env:"HERALD_MAX_UPLOADS_SIZE"`
	RetainAge      Age           `help:"How long events are kept, such as 90d or 36h; 0: for ever." default:"90d" env:"HERALD_RETAIN_AGE"`
	RetainSize     Bytes         `help:"How large the log may get before its oldest part goes, such as 50GiB; 0: any size." default:"0" env:"HERALD_RETAIN_SIZE"`
	Webhooks       string        `help:"File, YAML or JSON, that says whose webhooks are taken and what becomes of them (default: nobody's)." env:"HERALD_WEBHOOKS" placeholder:"FILE"`
	RetainArchive  bool          `help:"Whether what goes is archived in the blob store first." default:"true" negatable:"" env:"HERALD_RETAIN_ARCHIVE"`

	VideoThreads int           `help:"Threads that one video may use; 0: the machine's cores, 8 at most." default:"0" env:"HERALD_VIDEO_THREADS"`
	VideoTime    time.Duration `help:"How long ffmpeg may take over one step of a video." default:"6h" env:"HERALD_VIDEO_TIME"`
	VideoSize    Bytes         `help:"How much ffmpeg may write in one step of a video." default:"20GiB" env:"HERALD_VIDEO_SIZE"`
	VideoReserve Bytes         `help:"What stays free on a worker's disk: a video that would take it waits." default:"512MiB" env:"HERALD_VIDEO_RESERVE"`

	TLSCert              string        `name:"tls-cert" help:"Certificate chain to serve HTTPS with, as PEM; read again when it changes." env:"HERALD_TLS_CERT" placeholder:"FILE"`
	TLSKey               string        `name:"tls-key" help:"The certificate's private key, as PEM." env:"HERALD_TLS_KEY" placeholder:"FILE"`
	TrustedProxies       Proxies       `help:"Proxies whose word is taken for a client's address: networks and addresses, or none (default: this machine)." default:"127.0.0.0/8,::1" env:"HERALD_TRUSTED_PROXIES" placeholder:"LIST"`
	MaxStreams           int           `help:"Streams open at once on this node." default:"50000" env:"HERALD_MAX_STREAMS"`
	MaxStreamsPerUser    int           `help:"Streams of one user open at once on this node." default:"64" env:"HERALD_MAX_STREAMS_PER_USER"`
	MaxStreamsPerAddress int           `help:"Streams from one address open at once on this node." default:"1000" env:"HERALD_MAX_STREAMS_PER_ADDRESS"`
	MaxStreamRate        int           `help:"Streams that one address may ask for a second, once it has asked for as many as it may have." default:"100" env:"HERALD_MAX_STREAM_RATE"`
	MaxConnectionRate    int           `help:"Connections that one address may make a second, once it has made twice as many as it may have streams." default:"200" env:"HERALD_MAX_CONNECTION_RATE"`
	MaxStreamTopics      int           `help:"Topics that one stream may follow." default:"100" env:"HERALD_MAX_STREAM_TOPICS"`
	Heartbeat            time.Duration `help:"How often a stream shows that it is alive; proxies must wait longer than that." default:"15s" env:"HERALD_HEARTBEAT"`
	AckInterval          time.Duration `help:"How often a client is to say how far it has come; 0: not at all." default:"10s" env:"HERALD_ACK_INTERVAL"`

	JWTIssuer      string   `name:"jwt-issuer" help:"Another issuer whose tokens are good: what they name in iss." env:"HERALD_JWT_ISSUER" placeholder:"NAME"`
	JWTAudience    string   `name:"jwt-audience" help:"What its tokens name in aud." default:"herald" env:"HERALD_JWT_AUDIENCE" placeholder:"NAME"`
	JWTKeys        []string `name:"jwt-keys" help:"Keys that check its tokens, as ALGORITHM:FILE: HS256 with a secret, RS256, ES256 or EdDSA with a public key as PEM." env:"HERALD_JWT_KEYS" placeholder:"LIST"`
	JWKSURL        string   `name:"jwks-url" help:"Where it shows its public keys as a JSON Web Key Set." env:"HERALD_JWKS_URL" placeholder:"URL"`
	JWTUserClaim   string   `name:"jwt-user-claim" help:"The claim that names the user; a dot leads into an object." default:"sub" env:"HERALD_JWT_USER_CLAIM" placeholder:"CLAIM"`
	JWTRolesClaim  string   `name:"jwt-roles-claim" help:"The claim that lists the roles; without it, one is a user." default:"roles" env:"HERALD_JWT_ROLES_CLAIM" placeholder:"CLAIM"`
	JWTTopicsClaim string   `name:"jwt-topics-claim" help:"The claim that lists patterns of topics that one may follow besides." default:"topics" env:"HERALD_JWT_TOPICS_CLAIM" placeholder:"CLAIM"`

	OIDCIssuer      string `name:"oidc-issuer" help:"OpenID Connect provider that people sign in to the web app with." env:"HERALD_OIDC_ISSUER" placeholder:"URL"`
	OIDCClientID    string `name:"oidc-client-id" help:"What the provider calls Herald." env:"HERALD_OIDC_CLIENT_ID" placeholder:"ID"`
	OIDCSecretFile  string `name:"oidc-secret-file" help:"The secret that Herald has with the provider, if it has one." env:"HERALD_OIDC_SECRET_FILE" placeholder:"FILE"`
	OIDCRedirectURL string `name:"oidc-redirect-url" help:"Where the provider sends people back to: /api/signin/callback at this address of Herald's." env:"HERALD_OIDC_REDIRECT_URL" placeholder:"URL"`

	StrangerRate Rate    `help:"Requests from one address by whom nobody knows, so often a second and so many at once; 0: any." default:"200/2000" env:"HERALD_STRANGER_RATE" placeholder:"RATE/BURST"`
	UserRate     Rate    `help:"Requests of one user." default:"200/2000" env:"HERALD_USER_RATE" placeholder:"RATE/BURST"`
	ProgramRate  Rate    `help:"Requests of one API key, worker or back end." default:"5000/20000" env:"HERALD_PROGRAM_RATE" placeholder:"RATE/BURST"`
	PublishRate  Rate    `help:"Requests of one user or key to publish or to report." default:"5000/20000" env:"HERALD_PUBLISH_RATE" placeholder:"RATE/BURST"`
	UploadRate   Rate    `help:"Uploads of one user or key." default:"5/100" env:"HERALD_UPLOAD_RATE" placeholder:"RATE/BURST"`
	CORSOrigins  Origins `name:"cors-origins" help:"Other sites whose pages may use the API with a token, such as https://app.example.com (default: none)." env:"HERALD_CORS_ORIGINS" placeholder:"LIST"`

	RetainResults  Age      `help:"How long the files that a job made are kept after its end; 0: for ever." default:"30d" env:"HERALD_RETAIN_RESULTS"`
	RetainUploads  Age      `help:"How long an upload is kept that no job uses; 0: for ever." default:"24h" env:"HERALD_RETAIN_UPLOADS"`
	CallbackSecret string   `help:"What callbacks are signed with, whsec_ and base64; two, separated by a comma, while one replaces the other. Without it, nobody is called back." env:"HERALD_CALLBACK_SECRET" placeholder:"SECRET"`
	CallbackAllow  Networks `help:"Networks that callbacks may go to though they are not public, or none." default:"none" env:"HERALD_CALLBACK_ALLOW" placeholder:"LIST"`
	CallbackHTTP   bool     `name:"callback-http" help:"Whether callbacks may go to http as well as to https." env:"HERALD_CALLBACK_HTTP"`

	AbsentAfter      time.Duration `help:"After how long a user is told by other ways how a job has ended, if nobody has acknowledged it; 0: never." default:"0" env:"HERALD_ABSENT_AFTER"`
	AbsentURL        string        `name:"absent-url" help:"Where a signed webhook of it goes." env:"HERALD_ABSENT_URL" placeholder:"URL"`
	AbsentSecret     string        `help:"What that webhook is signed with, whsec_ and base64." env:"HERALD_ABSENT_SECRET" placeholder:"SECRET"`
	AbsentMailTo     string        `help:"Where a mail of it goes, such as {user}@example.org." env:"HERALD_ABSENT_MAIL_TO" placeholder:"ADDRESS"`
	MailFrom         string        `help:"Who mails are from." env:"HERALD_MAIL_FROM" placeholder:"ADDRESS"`
	SMTPAddr         string        `name:"smtp-addr" help:"Mail server that mails go by." env:"HERALD_SMTP_ADDR" placeholder:"HOST:PORT"`
	SMTPSecurity     string        `name:"smtp-security" help:"How its connection is kept private: starttls, tls or none." enum:"starttls,tls,none" default:"starttls" env:"HERALD_SMTP_SECURITY"`
	SMTPUser         string        `name:"smtp-user" help:"Whom Herald signs in to it as (default: it does not)." env:"HERALD_SMTP_USER" placeholder:"NAME"`
	SMTPPasswordFile string        `name:"smtp-password-file" help:"With which password." env:"HERALD_SMTP_PASSWORD_FILE" placeholder:"FILE"`
	PublicURL        string        `name:"public-url" help:"Where people reach Herald, for links in mails." env:"HERALD_PUBLIC_URL" placeholder:"URL"`

	WebhookExample bool `kong:"-"` // whether the example source is there, for those who try Herald
	Development    bool `kong:"-"` // whether the developer's page is there, for the same
	QueryIdentity  bool `kong:"-"` // whether streams believe who their address says asks, then

	LogLevel  string `help:"Least level logged: debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"HERALD_LOG_LEVEL"`
	LogFormat string `help:"How to log: text or json." enum:"text,json" default:"text" env:"HERALD_LOG_FORMAT"`
}

// Complete fills in the defaults that depend on others, and checks the rest.
// Each error says which setting to change.
func (c *Config) Complete() error {
	if c.DataDir == "" {
		c.DataDir = DefaultDataDir()
	}
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return fmt.Errorf("--data-dir %s: %w", c.DataDir, err)
	}
	c.DataDir = dir
	if c.BlobURL == "" {
		c.BlobURL = "file://" + filepath.ToSlash(filepath.Join(dir, "blobs")) + "?create_dir=1&no_tmp_dir=1&metadata=skip"
	}
	if c.KeyFile == "" {
		c.KeyFile = filepath.Join(dir, "signing.key")
	}
	if c.DirectURL == "" {
		c.DirectURL = c.DatabaseURL
	}
	if err := checkBlobURL(c.BlobURL); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("--addr %q: want host:port, such as 127.0.0.1:8080", c.Addr)
	}
	if err := c.checkWorkers(); err != nil {
		return err
	}
	if c.MaxUploadSize < 1 {
		return errors.New("--max-upload-size: want at least 1 byte")
	}
	if c.MaxUploads < 0 || c.MaxUploadsSize < 0 {
		return errors.New("--max-uploads, --max-uploads-size: want at least 1")
	}
	if c.RetainAge < 0 {
		return errors.New("--retain-age: want 0 or more, such as 90d")
	}
	return errors.Join(c.checkIssuer(), c.checkVideo(), c.checkStreams(), c.checkAbsent())
}

// checkIssuer checks the settings of another issuer's tokens, as far as that can be
// done without its keys.
func (c *Config) checkIssuer() error {
	keys := len(c.JWTKeys) > 0 || c.JWKSURL != ""
	switch {
	case keys && c.JWTIssuer == "":
		return errors.New("--jwt-issuer: want the name of the issuer whose keys --jwt-keys and --jwks-url are")
	case !keys && c.JWTIssuer != "":
		return errors.New("--jwt-issuer: want its keys too, as --jwt-keys or --jwks-url")
	}
	return nil
}

// checkBlobURL refuses an address that has credentials in it: whoever may read
// the settings or the log would know them.
func checkBlobURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("--blob-url: it is not a URL; want file:///folder or s3://bucket")
	}
	if u.User != nil {
		return errors.New("--blob-url: credentials have no place in it; give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return nil
}

// checkWorkers checks the settings of workers. A time of 0 is left to those who use
// it.
func (c *Config) checkWorkers() error {
	const least, most = time.Second, 7 * 24 * time.Hour
	if c.Workers < 1 || c.Workers > 256 {
		return fmt.Errorf("--workers %d: want 1 to 256", c.Workers)
	}
	if c.WorkerLease != 0 && (c.WorkerLease < least || c.WorkerLease > most) {
		return fmt.Errorf("--worker-lease %v: want %v to %v", c.WorkerLease, least, most)
	}
	if c.CancelTimeout != 0 && (c.CancelTimeout < least || c.CancelTimeout > most) {
		return fmt.Errorf("--cancel-timeout %v: want %v to %v", c.CancelTimeout, least, most)
	}
	return nil
}

// checkVideo checks the limits of videos. One of 0 is left to those who use it.
func (c *Config) checkVideo() error {
	const mostThreads = 256
	switch {
	case c.VideoThreads < 0 || c.VideoThreads > mostThreads:
		return fmt.Errorf("--video-threads %d: want 1 to %d, or 0", c.VideoThreads, mostThreads)
	case c.VideoTime < 0 || c.VideoTime > 0 && c.VideoTime < time.Second:
		return fmt.Errorf("--video-time %v: want a second at least", c.VideoTime)
	}
	return nil
}

// checkStreams checks the settings of streams and of how they are reached. A
// number of 0 is left to those who use it.
func (c *Config) checkStreams() error {
	const least, most = 100 * time.Millisecond, 5 * time.Minute
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key: want both or neither")
	}
	for _, limit := range []struct {
		flag  string
		value int
	}{
		{"--max-streams", c.MaxStreams},
		{"--max-streams-per-user", c.MaxStreamsPerUser},
		{"--max-streams-per-address", c.MaxStreamsPerAddress},
		{"--max-stream-rate", c.MaxStreamRate},
		{"--max-connection-rate", c.MaxConnectionRate},
		{"--max-stream-topics", c.MaxStreamTopics},
	} {
		if limit.value < 0 {
			return fmt.Errorf("%s %d: want at least 1", limit.flag, limit.value)
		}
	}
	if c.Heartbeat != 0 && (c.Heartbeat < least || c.Heartbeat > most) {
		return fmt.Errorf("--heartbeat %v: want %v to %v", c.Heartbeat, least, most)
	}
	const leastAck, mostAck = time.Second, time.Hour
	if c.AckInterval != 0 && (c.AckInterval < leastAck || c.AckInterval > mostAck) {
		return fmt.Errorf("--ack-interval %v: want %v to %v, or 0 for no acknowledgements", c.AckInterval, leastAck, mostAck)
	}
	return nil
}

// Scheme is what the node's address begins with.
func (c *Config) Scheme() string {
	if c.TLSCert == "" {
		return "http"
	}
	return "https"
}

// DefaultDataDir is where Herald keeps its own when nobody says otherwise: for
// root a folder that the user postgres can reach, since Postgres refuses to
// run as root.
func DefaultDataDir() string {
	if os.Getuid() == 0 {
		return "/var/lib/herald"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "herald")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "herald")
	}
	return filepath.Join(home, ".local", "share", "herald")
}

const (
	// testPrefix marks the variables that tests alone read.
	testPrefix = "HERALD_TEST_"
	// secretPrefix marks those that a file of webhooks may name.
	secretPrefix = "HERALD_WEBHOOK_SECRET_" //nolint:gosec // a name, no secret
)

// CheckEnvironment returns an error that names the first variable in environ
// ("NAME=value") which looks like one of Herald's and is not among those known.
func CheckEnvironment(environ, known []string) error {
	for _, name := range Unknown(environ, known) {
		return fmt.Errorf("%s is set, but there is no such setting: unset it, or look at 'herald up --help' for its right name", name)
	}
	return nil
}

// Unknown lists the variables in environ that look like Herald's and are not among
// those known.
func Unknown(environ, known []string) []string {
	var unknown []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "HERALD_") || strings.HasPrefix(name, testPrefix) || strings.HasPrefix(name, secretPrefix) || slices.Contains(known, name) {
			continue
		}
		unknown = append(unknown, name)
	}
	return unknown
}

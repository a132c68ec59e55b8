package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"herald/internal/auth"
	"herald/internal/config"
	"herald/internal/doctor"
	"herald/internal/export"
	"herald/internal/ffmpeg"
	"herald/internal/httpapi"
	"herald/internal/postgres"
	"herald/internal/postgres/embedded"
)

// Examine runs the doctor's checks of what a node with the settings needs, and
// calls told with what each has found. It reports whether there was no problem.
// The settings' own error, which completing them gave, is a finding like others.
func Examine(ctx context.Context, c config.Config, wrong error, told func(doctor.Finding)) bool {
	return doctor.Run(ctx, Checks(c, wrong), func(f doctor.Finding) {
		f.Found = config.Hide(f.Found)
		told(f)
	})
}

// Checks are the doctor's checks of what a node with the settings needs.
func Checks(c config.Config, wrong error) []doctor.Check {
	n := &Node{config: c}
	checks := []doctor.Check{{Name: "settings", Look: func(ctx context.Context) doctor.Finding { return n.checkSettings(ctx, wrong) }}}
	checks = append(checks, databaseChecks(c)...)
	const folderAdvice = "choose another folder with --data-dir, or run Herald as its owner"
	return append(checks,
		plainly("data folder", func() doctor.Finding { return doctor.Folder(c.DataDir, folderAdvice) }),
		plainly("disk", func() doctor.Finding { return doctor.Disk(c.DataDir, filepath.Join(c.DataDir, "postgres")) }),
		doctor.Check{Name: "blob store", Look: func(ctx context.Context) doctor.Finding { return doctor.Blobs(ctx, c.BlobURL) }},
		plainly("secret files", func() doctor.Finding { return secretFiles(c) }),
		plainly("open files", func() doctor.Finding {
			return doctor.OpenFiles(cmp.Or(c.MaxStreams, httpapi.DefaultStreams), streamsWithin)
		}),
		doctor.Check{Name: "ffmpeg", Look: checkFFmpeg},
		plainly("certificate", func() doctor.Finding { return checkCertificate(c) }),
		doctor.Check{Name: "mail server", Look: func(ctx context.Context) doctor.Finding { return checkMail(ctx, c) }},
		doctor.Check{Name: "token issuer", Look: func(ctx context.Context) doctor.Finding { return checkIssuer(ctx, c) }},
		doctor.Check{Name: "sign-in", Look: n.checkSignIn},
		doctor.Check{Name: "exports", Look: n.checkExports},
		doctor.Check{Name: "address", Look: func(ctx context.Context) doctor.Finding { return doctor.Address(ctx, c.Scheme(), c.Addr) }},
	)
}

// plainly is a check that asks nobody outside.
func plainly(name string, look func() doctor.Finding) doctor.Check {
	return doctor.Check{Name: name, Look: func(context.Context) doctor.Finding { return look() }}
}

// checkSettings looks at all settings that a node would look at before it starts.
func (n *Node) checkSettings(ctx context.Context, wrong error) doctor.Finding {
	c := n.config
	c.WebhookExample = false // its secret would be made
	b := &build{Node: n}
	return doctor.All(ctx, "they make sense",
		func(context.Context) error { return wrong },
		func(context.Context) error { _, _, err := webhooks(c); return err },
		func(context.Context) error { _, err := b.issuer(); return err },
		func(context.Context) error { _, err := b.signIn(); return err },
		func(context.Context) error { _, err := n.callbacks(); return err },
		func(context.Context) error { _, err := absences(c); return err },
		func(context.Context) error {
			if c.DatasetsDir == "" {
				return nil
			}
			if _, err := export.LoadDatasets(os.DirFS(c.DatasetsDir)); err != nil {
				return fmt.Errorf("--datasets-dir %s: %w", c.DatasetsDir, err)
			}
			return nil
		},
	)
}

// databaseChecks look at the database that is given, or at that of a Herald which
// runs in the data folder; when there is neither, at what one could be run with.
func databaseChecks(c config.Config) []doctor.Check {
	url, direct := c.DatabaseURL, c.DirectURL
	if url == "" {
		dir := filepath.Join(c.DataDir, "postgres")
		running, err := embedded.RunningURL(dir, embedded.Database)
		if !embedded.Running(dir) || err != nil {
			return []doctor.Check{{Name: "database", Look: func(ctx context.Context) doctor.Finding {
				programs, err := embedded.FindFor(ctx, dir, c.PostgresBin)
				return doctor.Tried(err, fmt.Sprintf("none is given, and Herald's own does not run: 'herald up' starts it, with Postgres %d in %s", programs.Major, programs.Dir),
					"install Postgres, or give one in HERALD_DATABASE_URL")
			}}}
		}
		url, direct = running, running
	}
	return doctor.DatabaseChecks(postgres.NewExaminer(url, direct), postgres.NodeConnections+c.Workers)
}

func secretFiles(c config.Config) doctor.Finding {
	var needed []string
	for _, file := range []string{c.TLSKey, c.OIDCSecretFile, c.SMTPPasswordFile} {
		if file != "" {
			needed = append(needed, file)
		}
	}
	f := doctor.SecretFiles(c.KeyFile, needed...)
	if f.Level != doctor.OK {
		return f
	}
	if secret, err := os.ReadFile(c.KeyFile); err == nil {
		if _, err := auth.NewKey(secret); err != nil {
			return doctor.Wrong("look at --key-file", "%v", err)
		}
	}
	return f
}

// checkFFmpeg looks for the programs that workers run.
func checkFFmpeg(ctx context.Context) doctor.Finding {
	const advice = "install ffmpeg with libx264, libvpx and libopus, as Debian's is; a node that only serves does without"
	tools, err := ffmpeg.Find()
	if err != nil {
		return doctor.Wrong(advice, "%v", err)
	}
	version, err := tools.Version(ctx)
	if err != nil {
		return doctor.Wrong(advice, "%v", err)
	}
	missing, err := tools.MissingEncoders(ctx)
	switch {
	case err != nil:
		return doctor.Wrong(advice, "%v", err)
	case len(missing) > 0:
		return doctor.Wrong(advice, "ffmpeg %s has no %s: some presets would fail", version, strings.Join(missing, ", "))
	}
	return doctor.Good("ffmpeg %s has all encoders that the presets need", version)
}

func checkCertificate(c config.Config) doctor.Finding {
	if c.TLSCert == "" || c.TLSKey == "" {
		return doctor.Good("none is set: Herald serves HTTP, and a proxy before it does the rest")
	}
	return doctor.Certificate(c.TLSCert, c.TLSKey)
}

// checkMail signs in to the mail server, and sends nothing.
func checkMail(ctx context.Context, c config.Config) doctor.Finding {
	if c.AbsentAfter == 0 || c.AbsentMailTo == "" {
		return doctor.Good("none is needed: nobody is told by mail")
	}
	const advice = "look at --smtp-addr, --smtp-security, --smtp-user and --smtp-password-file"
	m, err := newMailer(c)
	if err != nil {
		return doctor.Wrong(advice, "%v", err)
	}
	return doctor.Tried(m.Try(ctx), "it takes mails from Herald; none was sent", advice)
}

// checkIssuer fetches the keys of the issuer whose tokens are good besides Herald's.
func checkIssuer(ctx context.Context, c config.Config) doctor.Finding {
	if c.JWTIssuer == "" || c.JWKSURL == "" {
		return doctor.Good("no keys have to be fetched: --jwks-url is not set")
	}
	const advice = "look at --jwks-url, and whether this machine reaches it: while it does not answer, nobody new gets in with its tokens"
	jwks, err := auth.NewJWKS(c.JWKSURL, slog.New(slog.DiscardHandler), auth.JWKSConfig{})
	if err != nil {
		return doctor.Wrong(advice, "%v", err)
	}
	keys, err := jwks.Try(ctx)
	return doctor.Tried(err, fmt.Sprintf("%s shows keys that check signatures: %d", c.JWKSURL, keys), advice)
}

// checkSignIn asks the provider that people sign in with.
func (n *Node) checkSignIn(ctx context.Context) doctor.Finding {
	const advice = "look at --oidc-issuer, which is what the provider calls itself, and whether this machine reaches it: without, nobody signs in with it"
	provider, err := (&build{Node: n}).provider()
	switch {
	case err != nil:
		return doctor.Wrong(advice, "%v", err)
	case provider == nil:
		return doctor.Good("no provider is set: --oidc-issuer")
	}
	return doctor.Tried(provider.Try(ctx), n.config.OIDCIssuer+" answers", advice)
}

// checkExports has the database that exports are read from read each query. Without
// one of its own and without datasets of the operator's, there is nothing to find.
func (n *Node) checkExports(ctx context.Context) doctor.Finding {
	if n.config.ExportURL == "" && (n.config.DatasetsDir == "" || n.config.DirectURL == "") {
		return doctor.Good("they are read from Herald's database, and are Herald's own")
	}
	exports, err := n.exports(ctx)
	if err != nil {
		return doctor.Wrong("look at --export-database-url, what its role may read, and the files in --datasets-dir", "%v", err)
	}
	return doctor.Good("each of the %d datasets can be read", len(exports.Datasets()))
}

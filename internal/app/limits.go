package app

import (
	"cmp"
	"context"
	"log/slog"
	"syscall"

	"herald/internal/config"
	"herald/internal/httpapi"
)

// streamLimits are the limits on streams. Each stream is an open file, so there
// are no more in all than the process may have, less what the rest of it needs;
// when that is less than was asked for, the log says so.
func streamLimits(ctx context.Context, c config.Config, log *slog.Logger) httpapi.Limits {
	limits := httpapi.Limits{
		Streams: cmp.Or(c.MaxStreams, httpapi.DefaultStreams), PerUser: c.MaxStreamsPerUser, PerAddress: c.MaxStreamsPerAddress,
		Topics: c.MaxStreamTopics, OpeningRate: c.MaxStreamRate, ConnectionRate: c.MaxConnectionRate,
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return limits // no limit is known
	}
	if most := streamsWithin(files.Cur); uint64(limits.Streams) > most {
		log.InfoContext(ctx, "fewer streams than set, for want of open files",
			"streams", most, "max_streams", limits.Streams, "open_files", files.Cur)
		limits.Streams = int(most)
	}
	return limits
}

// streamsWithin is for how many streams so many open files are enough. The
// others are for requests, the database, uploads and results.
func streamsWithin(files uint64) uint64 {
	const most = 4096
	return max(files-min(files/4, most), 1)
}

// rates are the limits on requests.
func rates(c config.Config) httpapi.Rates {
	return httpapi.Rates{
		Strangers: httpapi.Rate(c.StrangerRate), People: httpapi.Rate(c.UserRate), Programs: httpapi.Rate(c.ProgramRate),
		Publishes: httpapi.Rate(c.PublishRate), Uploads: httpapi.Rate(c.UploadRate),
	}
}

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"herald/internal/auth"
	"herald/internal/export"
	"herald/internal/postgres"
	"herald/internal/worker"
)

// exports are the datasets, Herald's own and those in the operator's folder, each
// of which the database has read and found good.
func (n *Node) exports(ctx context.Context) (*postgres.Exports, error) {
	var own []export.Dataset
	if dir := n.config.DatasetsDir; dir != "" {
		var err error
		if own, err = export.LoadDatasets(os.DirFS(dir)); err != nil {
			return nil, fmt.Errorf("--datasets-dir %s: %w", dir, err)
		}
	}
	url := n.config.ExportURL
	if url == "" {
		url = n.config.DirectURL
	}
	exports, err := postgres.NewExports(url, own)
	if err != nil {
		return nil, fmt.Errorf("--datasets-dir: %w", err)
	}
	if err := exports.Check(ctx); err != nil {
		return nil, fmt.Errorf("%w; look at --datasets-dir and --export-database-url", err)
	}
	return exports, nil
}

// preparer says who may start which job, and with what args.
type preparer struct{ exports *postgres.Exports }

func (p preparer) prepare(who auth.Principal, owner, kind string, args json.RawMessage) (json.RawMessage, error) {
	if kind == worker.ExportKind {
		return p.prepareExport(who, owner, args)
	}
	if !who.MayStart(false) {
		return nil, fmt.Errorf("%w: start jobs", auth.ErrForbidden)
	}
	return args, worker.CheckArgs(kind, args)
}

func (p preparer) prepareExport(who auth.Principal, owner string, args json.RawMessage) (json.RawMessage, error) {
	if !who.MayExport() {
		return nil, fmt.Errorf("%w: export", auth.ErrForbidden)
	}
	requester := worker.Requester{
		Reader: worker.Reader{User: who.User, All: who.MayExportAll()},
		Is:     func(role string) bool { return who.Is(auth.Role(role)) },
	}
	prepared, err := worker.PrepareExport(p.exports, requester, owner, args)
	if errors.Is(err, worker.ErrMayNotRead) {
		err = fmt.Errorf("%w: %w", auth.ErrForbidden, err)
	}
	return prepared, err
}

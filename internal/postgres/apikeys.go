package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/postgres/dbsqlc"
)

// SaveAPIKey enters a new key, which is used by the secret with the hash, and
// returns it with the time of its creation.
func (db *DB) SaveAPIKey(ctx context.Context, k auth.APIKey, hash auth.Hash) (auth.APIKey, error) {
	at, err := db.queries().APIKeyInsert(ctx, dbsqlc.APIKeyInsertParams{
		ID: k.ID, Hash: hash[:], Hint: k.Hint, Name: k.Name, UserID: k.User, Roles: texts(k.Roles), Topics: texts(k.Topics),
		CreatedBy: k.CreatedBy, ExpiresAt: k.ExpiresAt,
	})
	if err != nil {
		return auth.APIKey{}, fmt.Errorf("save API key %s: %w", k.ID, err)
	}
	k.CreatedAt = at
	return k, nil
}

// APIKeyByHash reads a key, whether it is good or not; there may be
// auth.ErrNoAPIKey.
func (db *DB) APIKeyByHash(ctx context.Context, hash auth.Hash) (auth.APIKey, error) {
	row, err := db.queries().APIKeyGetByHash(ctx, hash[:])
	if err != nil {
		return auth.APIKey{}, fmt.Errorf("look an API key up: %w", notFound(err, auth.ErrNoAPIKey))
	}
	return apiKeyOf(row.APIKey), nil
}

// APIKeys lists all keys, newest first.
func (db *DB) APIKeys(ctx context.Context) ([]auth.APIKey, error) {
	rows, err := db.queries().APIKeyList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	list := make([]auth.APIKey, len(rows))
	for i, row := range rows {
		list[i] = apiKeyOf(row.APIKey)
	}
	return list, nil
}

// RevokeAPIKey makes a key useless for good, on behalf of the actor; there may be
// auth.ErrNoAPIKey. Every node hears of it within five seconds.
func (db *DB) RevokeAPIKey(ctx context.Context, id uuid.UUID, actor string) (auth.APIKey, error) {
	row, err := db.queries().APIKeyRevoke(ctx, dbsqlc.APIKeyRevokeParams{ID: id, Actor: actor})
	if err != nil {
		return auth.APIKey{}, fmt.Errorf("revoke API key %s: %w", id, notFound(err, auth.ErrNoAPIKey))
	}
	return apiKeyOf(row.APIKey), nil
}

// APIKeysGone returns those of the keys that are revoked, or do not exist.
func (db *DB) APIKeysGone(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	gone, err := db.queries().APIKeyListGone(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look for revoked API keys: %w", err)
	}
	return gone, nil
}

// APIKeysUsed notes when keys were last used.
func (db *DB) APIKeysUsed(ctx context.Context, uses []auth.KeyUse) error {
	var params dbsqlc.APIKeySetUsedParams
	for _, use := range uses {
		params.Ids = append(params.Ids, use.ID)
		params.AgoS = append(params.AgoS, int64(use.Ago.Seconds()))
	}
	if err := db.queries().APIKeySetUsed(ctx, params); err != nil {
		return fmt.Errorf("note the use of API keys: %w", err)
	}
	return nil
}

func apiKeyOf(row dbsqlc.APIKey) auth.APIKey {
	k := auth.APIKey{
		ID: row.ID, Hint: row.Hint, Name: row.Name, User: row.UserID, Roles: asTexts[auth.Role](row.Roles), Topics: asTexts[auth.Pattern](row.Topics),
		CreatedAt: row.CreatedAt, CreatedBy: row.CreatedBy, ExpiresAt: row.ExpiresAt, LastUsedAt: row.LastUsedAt, RevokedAt: row.RevokedAt,
	}
	if row.RevokedBy != nil {
		k.RevokedBy = *row.RevokedBy
	}
	return k
}

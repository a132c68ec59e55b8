package archive

// What tests reach inside.
var (
	ParseLine   = parseLine   //nolint:gochecknoglobals // for tests
	ScanEvent   = scanEvent   //nolint:gochecknoglobals // for tests
	AppendBatch = appendBatch //nolint:gochecknoglobals // for tests
)

const (
	MaxLine  = maxLine
	MaxBatch = maxBatch
)

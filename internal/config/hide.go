package config

import (
	"regexp"
	"slices"
	"strings"
)

// hidden stands for what is nobody's business.
const hidden = "(hidden)"

// IsSecret reports whether the setting of that name, such as callback-secret, is
// a secret itself, and not the name of a file that has one.
func IsSecret(name string) bool {
	words := strings.Split(name, "-")
	if slices.Contains(words, "file") {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool { return w == "secret" || w == "password" || w == "token" })
}

// What a text may hold of secrets: an address's password, up to the last @ since
// it may have anything in it; whoever signs in to a site, since that is often a
// token alone; and parameters with such names, of addresses and of Postgres'
// other form of one.
var (
	passwordPattern = regexp.MustCompile(`(://[^:@/\s]*):[^\s"'\x60]*@`)
	sitePattern     = regexp.MustCompile(`(?i)(https?://)[^/\s"'\x60]*@`)
	queryPattern    = regexp.MustCompile(`(?i)([?&][^=&\s]*(?:password|secret|token|key|sig)[^=&\s]*=)[^&\s"'\x60]*`)
	keywordPattern  = regexp.MustCompile(`(?i)(\b(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)`)
)

// Hide is the text without what is secret within it: the passwords of addresses.
func Hide(text string) string {
	text = sitePattern.ReplaceAllString(text, "${1}"+hidden+"@")
	text = passwordPattern.ReplaceAllString(text, "${1}:"+hidden+"@")
	text = queryPattern.ReplaceAllString(text, "${1}"+hidden)
	return keywordPattern.ReplaceAllString(text, "${1}"+hidden)
}

// Shown is a setting's value as people and logs may see it.
func Shown(name, value string) string {
	if value != "" && IsSecret(name) {
		return hidden
	}
	return Hide(value)
}

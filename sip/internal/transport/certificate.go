package transport

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// CertificateError says why the certificate of a server was not accepted, and what to
// do. It unwraps to the error of crypto/x509: x509.UnknownAuthorityError,
// x509.HostnameError or x509.CertificateInvalidError.
type CertificateError struct {
	Domain string // whom we wanted to reach
	Err    error
	at     time.Time
}

func (e *CertificateError) Error() string {
	if u, ok := errors.AsType[x509.UnknownAuthorityError](e.Err); ok {
		by := "an unnamed authority"
		if u.Cert != nil && u.Cert.Issuer.String() != "" {
			by = Visible(u.Cert.Issuer.String())
		}
		return fmt.Sprintf("the certificate of %s is not trusted: it was signed by %s; if that is right, put the authority's certificate into RootCAs of Config.TLS", Visible(e.Domain), by)
	}
	if h, ok := errors.AsType[x509.HostnameError](e.Err); ok {
		names := "nobody"
		if all := slices.Concat(namesOf(h.Certificate), addressesOf(h.Certificate)); len(all) > 0 {
			names = Visible(strings.Join(all[:min(len(all), 8)], ", "))
		}
		return fmt.Sprintf("the certificate is for %s, not for %s: use the name that it is for, or have the server's owner get one for %[2]s", names, Visible(e.Domain))
	}
	if inv, ok := errors.AsType[x509.CertificateInvalidError](e.Err); ok && inv.Reason == x509.Expired && inv.Cert != nil {
		if e.at.Before(inv.Cert.NotBefore) {
			return fmt.Sprintf("the certificate of %s is valid from %s on only: check this machine's clock", Visible(e.Domain), inv.Cert.NotBefore.UTC().Format(time.RFC3339))
		}
		return fmt.Sprintf("the certificate of %s expired on %s: the server's owner must renew it", Visible(e.Domain), inv.Cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("the certificate of %s is not acceptable: %v", Visible(e.Domain), e.Err)
}

func (e *CertificateError) Unwrap() error { return e.Err }

// verify is RFC 5922 section 7.3: the chain of certs leads to a root, and the first is
// for domain.
func verify(certs []*x509.Certificate, domain string, roots *x509.CertPool, now time.Time) ([][]*x509.Certificate, error) {
	if len(certs) == 0 {
		return nil, &CertificateError{Domain: domain, Err: errors.New("there is none"), at: now}
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := certs[0].Verify(opts)
	if err == nil && !isFor(certs[0], domain) {
		err = x509.HostnameError{Certificate: certs[0], Host: domain}
	}
	if err != nil {
		return nil, &CertificateError{Domain: domain, Err: err, at: now}
	}
	return chains, nil
}

// isFor compares as RFC 5922 section 7.2 says: "Implementations MUST match the values in
// their entirety", "MUST NOT match any form of wildcard". A numeric domain, of which the
// RFC says nothing, must be among the certificate's addresses.
func isFor(cert *x509.Certificate, domain string) bool {
	same := func(name string) bool { return strings.EqualFold(strings.TrimSuffix(name, "."), domain) }
	if _, err := netip.ParseAddr(domain); err == nil {
		return slices.ContainsFunc(addressesOf(cert), same)
	}
	return slices.ContainsFunc(namesOf(cert), same)
}

// namesOf lists the SIP domains of a certificate (RFC 5922 section 7.1): SIP URIs in
// subjectAltName without a user; DNS names "if and only if no other identity is found
// that matches the "sip" URI type".
func namesOf(cert *x509.Certificate) []string {
	var names []string
	for _, u := range cert.URIs {
		if !strings.EqualFold(u.Scheme, "sip") || strings.Contains(u.Opaque, "@") || u.Opaque == "" {
			continue
		}
		host, _, _ := strings.Cut(u.Opaque, ";")
		host, _, _ = strings.Cut(host, ":")
		names = append(names, host)
	}
	if len(names) == 0 {
		names = cert.DNSNames
	}
	return names
}

func addressesOf(cert *x509.Certificate) []string {
	var all []string
	for _, ip := range cert.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			all = append(all, a.Unmap().String())
		}
	}
	return all
}

/* certificate_text: what the certificate's encoder and parser share. */
#ifndef EXPUNGE_EVIDENCE_CERTIFICATE_TEXT_H
#define EXPUNGE_EVIDENCE_CERTIFICATE_TEXT_H

/* The one paragraph that ends every certificate. */
extern const char certificate_statement[];

#endif

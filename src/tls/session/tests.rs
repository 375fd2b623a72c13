//! A session against the client of rustls, without sockets.

use std::io::{Read, Write};
use std::sync::Arc as StdArc;

use proptest::prelude::*;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CipherSuiteCommon, ClientConfig, ClientConnection, RootCertStore, ServerConfig,
    SupportedCipherSuite, SupportedProtocolVersion, Tls12CipherSuite,
};

use super::*;
use crate::tls::names::{DomainConfig, ServerNames};
use crate::tls::options::finish;
use crate::tls::provider::provider;
use crate::tls::server_configs::ServerConfigs;
use crate::tls::setup::HandshakeLimits;

/// A server's setup, and the certificate that its clients trust.
fn setup() -> (Arc<TlsSetup>, CertificateDer<'static>) {
    setup_with(provider())
}

fn setup_with(provider: StdArc<CryptoProvider>) -> (Arc<TlsSetup>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let names = ServerNames::new(StdArc::new(ServerConfigs::new(finish(config).unwrap())));
    (Arc::new(TlsSetup::new(names, HandshakeLimits::default())), certificate)
}

fn client(
    certificate: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> ClientConnection {
    client_with(provider(), certificate, version)
}

fn client_with(
    provider: StdArc<CryptoProvider>,
    certificate: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientConnection::new(StdArc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

/// Both ends, and the plaintext that the session has decrypted.
struct Pair {
    client: ClientConnection,
    session: TlsSession,
    opened: Vec<u8>,
    fault: Option<TlsFault>,
    /// Bytes that reach the session at a time, and room in the buffer that they are read into.
    step: usize,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion, step: usize) -> Self {
        let (setup, certificate) = setup();
        let session = TlsSession::new(setup, Vec::new());
        Self { client: client(&certificate, version), session, opened: Vec::new(), fault: None, step }
    }

    /// A pair whose suites of TLS 1.2 may protect only this many records.
    fn agreed_with([server, client]: [u64; 2], version: &'static SupportedProtocolVersion) -> Self {
        let (setup, certificate) = setup_with(limited(server));
        let session = TlsSession::new(setup, Vec::new());
        let client = client_with(limited(client), &certificate, version);
        let mut pair = Self { client, session, opened: Vec::new(), fault: None, step: 1000 };
        for _ in 0..4 {
            pair.exchange();
        }
        pair
    }

    fn agreed(version: &'static SupportedProtocolVersion, step: usize) -> Self {
        let mut pair = Self::new(version, step);
        for _ in 0..4 {
            pair.exchange();
        }
        assert!(!pair.session.is_handshaking() && !pair.client.is_handshaking());
        pair
    }

    /// Moves everything that is on its way in both directions.
    fn exchange(&mut self) {
        let mut sealed = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut sealed).unwrap();
        }
        self.receive(&sealed);
        let mut answer = Vec::new();
        assert!(self.session.flush(&mut answer).unwrap());
        let mut answer = &answer[..];
        while !answer.is_empty() {
            self.client.read_tls(&mut answer).unwrap();
            if self.client.process_new_packets().is_err() {
                return;
            }
        }
    }

    /// Processes received bytes as the transport does.
    fn receive(&mut self, sealed: &[u8]) {
        let mut buffer = vec![0; self.step];
        let mut rest = sealed;
        while !rest.is_empty() {
            if !self.drain(&mut buffer) {
                return;
            }
            let place = self.session.place(&mut buffer);
            let (piece, after) = rest.split_at(rest.len().min(buffer.len() - place));
            rest = after;
            buffer[place..place + piece.len()].copy_from_slice(piece);
            match self.session.open(&mut buffer, place, piece.len()) {
                Ok(count) => self.opened.extend_from_slice(&buffer[..count]),
                Err(fault) => return self.fault = Some(fault),
            }
        }
        self.drain(&mut buffer);
    }

    /// Reads pending plaintext. Returns whether more may follow.
    fn drain(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            match self.session.open_pending(buffer) {
                Ok(0) => return !self.session.has_ended() && !self.session.has_failed(),
                Ok(count) => self.opened.extend_from_slice(&buffer[..count]),
                Err(fault) => {
                    self.fault = Some(fault);
                    return false;
                }
            }
        }
    }
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

#[test]
fn the_handshake_does_not_depend_on_how_the_bytes_are_cut() {
    for version in VERSIONS {
        for step in [1, 2, 3, 5, 64, 1000, 128 * 1024] {
            Pair::agreed(version, step);
        }
    }
}

#[test]
fn early_bytes_are_the_first_of_the_stream() {
    for cut in [1, 5, 100] {
        let (setup, certificate) = setup();
        let mut client = client(&certificate, VERSIONS[1]);
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let session = TlsSession::new(setup, hello[..cut].to_vec());
        let mut pair = Pair { client, session, opened: Vec::new(), fault: None, step: 1024 };
        pair.receive(&hello[cut..]);
        for _ in 0..3 {
            pair.exchange();
        }
        assert!(!pair.session.is_handshaking());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_is_opened(
        sizes in prop::collection::vec(1usize..70_000, 1..5),
        step in prop::sample::select(vec![7usize, 100, 4096, 16_384, 16_406, 20_000, 128 * 1024]),
        old in any::<bool>(),
    ) {
        let mut pair = Pair::agreed(VERSIONS[usize::from(!old)], step);
        let mut sent = Vec::new();
        for (size, seed) in sizes.into_iter().zip(1u8..) {
            let data: Vec<u8> = (0..size).map(|index| (index as u8).wrapping_mul(seed)).collect();
            let mut rest = &data[..];
            while !rest.is_empty() {
                let count = pair.client.writer().write(rest).unwrap();
                rest = &rest[count..];
                pair.exchange();
            }
            sent.extend_from_slice(&data);
        }
        prop_assert!(pair.opened == sent);
        prop_assert_eq!(&pair.fault, &None);

        let mut kernel = Vec::new();
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let count = pair.session.write(&[IoSlice::new(rest)], &mut kernel).unwrap();
            rest = &rest[count..];
        }
        prop_assert_eq!(pair.session.unsent(), 0);
        let (mut sealed, mut received) = (&kernel[..], Vec::new());
        while !sealed.is_empty() {
            pair.client.read_tls(&mut sealed).unwrap();
            let state = pair.client.process_new_packets().unwrap();
            let start = received.len();
            received.resize(start + state.plaintext_bytes_to_read(), 0);
            pair.client.reader().read_exact(&mut received[start..]).unwrap();
        }
        prop_assert!(received == sent);
    }
}

/// The provider, with suites of TLS 1.2 that may protect only `max` records.
fn limited(max: u64) -> StdArc<CryptoProvider> {
    let limit = |suite: &SupportedCipherSuite| match suite {
        SupportedCipherSuite::Tls13(_) => *suite,
        SupportedCipherSuite::Tls12(Tls12CipherSuite { common, prf_provider, kx, sign, aead_alg }) => {
            let CipherSuiteCommon { suite, hash_provider, .. } = *common;
            let common = CipherSuiteCommon { suite, hash_provider, confidentiality_limit: max };
            let suite =
                Tls12CipherSuite { common, prf_provider: *prf_provider, kx: *kx, sign, aead_alg: *aead_alg };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
    };
    let mut provider = CryptoProvider::clone(&provider());
    provider.cipher_suites = provider.cipher_suites.iter().map(limit).collect();
    StdArc::new(provider)
}

#[test]
fn used_up_keys_are_reported_before_any_data_is_lost() {
    let mut pair = Pair::agreed_with([300, u64::MAX], VERSIONS[0]);
    let (mut sent, mut limit_at) = (0, None);
    let fault = loop {
        if limit_at.is_none() && pair.session.is_near_key_limit() {
            limit_at = Some(sent);
        }
        match pair.session.write(&[IoSlice::new(b"x")], &mut Full(0)) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pair.exchange(),
            Err(error) => break TlsFault::of(&error).cloned(),
        }
    };
    assert_eq!((fault, limit_at), (Some(TlsFault::KeysExhausted), Some(300 - 64 - 1)));
    assert!((280..299).contains(&sent), "{sent}");
    pair.session.send_close_notify();
    pair.exchange();
    let mut received = vec![0; 300];
    let read =
        std::iter::from_fn(|| pair.client.reader().read(&mut received).ok().filter(|count| *count > 0));
    assert_eq!(read.sum::<usize>(), sent, "all that was taken arrives");
    assert!(pair.client.process_new_packets().unwrap().peer_has_closed(), "and that it is the end");
}

#[test]
fn aes_128_is_preferred_to_aes_256_and_the_preference_of_a_client_for_chacha20_is_respected() {
    use rustls::CipherSuite as Suite;
    let [aes_256, aes_128, chacha20] = [
        Suite::TLS13_AES_256_GCM_SHA384,
        Suite::TLS13_AES_128_GCM_SHA256,
        Suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    let [old_256, old_128, old_chacha20] = [
        Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    let table: [(&[Suite], usize, Suite); 9] = [
        (&[aes_256, aes_128, chacha20], 1, aes_128),
        (&[aes_128, aes_256, chacha20], 1, aes_128),
        (&[aes_256, chacha20, aes_128], 1, aes_128),
        (&[chacha20, aes_256, aes_128], 1, chacha20),
        (&[aes_256, chacha20], 1, aes_256),
        (&[chacha20], 1, chacha20),
        (&[old_256, old_128, old_chacha20], 0, old_128),
        (&[old_chacha20, old_256, old_128], 0, old_chacha20),
        (&[old_256], 0, old_256),
    ];
    for (offered, version, agreed) in table {
        let mut offers = CryptoProvider::clone(&provider());
        offers.cipher_suites = offered
            .iter()
            .filter_map(|suite| provider().cipher_suites.iter().find(|it| it.suite() == *suite).copied())
            .collect();
        let (setup, certificate) = setup();
        let client = client_with(StdArc::new(offers), &certificate, VERSIONS[version]);
        let session = TlsSession::new(setup, Vec::new());
        let mut pair = Pair { client, session, opened: Vec::new(), fault: None, step: 1024 };
        for _ in 0..4 {
            pair.exchange();
        }
        let suite = pair.client.negotiated_cipher_suite().map(|suite| suite.suite());
        assert_eq!(suite, Some(agreed), "{offered:?}");
    }
}

#[test]
fn keys_of_aes_gcm_last_for_16_million_records_of_tls_1_2() {
    let [old, new] = VERSIONS.map(|version| Pair::agreed(version, 1000).session);
    assert_eq!((old.max_records(), new.max_records()), (Some(1 << 24), None));
}

#[test]
fn tls_1_3_and_suites_without_end_are_never_used_up() {
    for (limit, version) in [(300, VERSIONS[1]), (u64::MAX, VERSIONS[0])] {
        let mut pair = Pair::agreed_with([limit; 2], version);
        for _ in 0..1000 {
            assert_eq!(pair.session.write(&[IoSlice::new(b"x")], &mut Vec::new()).unwrap(), 1);
            pair.client.writer().write_all(b"y").unwrap();
            pair.exchange();
        }
        assert!(!pair.session.is_near_key_limit() && !pair.session.has_peer_reached_key_limit());
        assert_eq!(pair.opened, b"y".repeat(1000));
    }
}

#[test]
fn a_peer_whose_keys_are_used_up_is_distinguished_from_one_that_leaves() {
    for (records, has_reached_limit) in [(10, false), (500, true)] {
        let mut pair = Pair::agreed_with([300; 2], VERSIONS[0]);
        for _ in 0..records {
            // rustls drops plaintext that it cannot encrypt.
            pair.client.writer().write_all(b"y").unwrap();
            pair.exchange();
        }
        pair.client.send_close_notify();
        pair.exchange();
        assert!(pair.session.has_ended());
        assert_eq!(
            pair.session.has_peer_reached_key_limit(),
            has_reached_limit,
            "{records}: {}",
            pair.opened.len()
        );
    }
}

/// A kernel that accepts this many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.0);
        self.0 -= count;
        if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_more_than_64_kib_are_sealed_ahead_of_the_kernel() {
    let mut pair = Pair::agreed(VERSIONS[1], 4096);
    let data = vec![0; 1024 * 1024];
    let pieces = [IoSlice::new(&data[..100]), IoSlice::new(&data)];
    assert_eq!(pair.session.write(&pieces, &mut Full(1000)).unwrap(), MAX_SEALED);
    let unsent = pair.session.unsent();
    assert!((MAX_SEALED - 1000..=MAX_SEALED).contains(&unsent), "{unsent}");
    for _ in 0..3 {
        let error = pair.session.write(&pieces, &mut Full(1000)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
    assert!(!pair.session.flush(&mut Full(100)).unwrap());
    assert!(pair.session.flush(&mut Full(usize::MAX)).unwrap());
    assert_eq!(pair.session.unsent(), 0);
}

#[test]
fn nothing_is_sealed_before_the_handshake_is_complete() {
    let mut pair = Pair::new(VERSIONS[1], 4096);
    let error = pair.session.write(&[IoSlice::new(b"early")], &mut Full(usize::MAX)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(pair.session.unsent(), 0);
}

#[test]
fn a_close_notify_is_distinguished_from_a_cut() {
    for version in VERSIONS {
        let mut pair = Pair::agreed(version, 4096);
        pair.client.writer().write_all(b"last words").unwrap();
        pair.client.send_close_notify();
        pair.exchange();
        assert_eq!(
            (&pair.opened[..], pair.session.has_ended(), &pair.fault),
            (&b"last words"[..], true, &None)
        );

        let mut pair = Pair::agreed(version, 4096);
        pair.client.writer().write_all(b"last words").unwrap();
        pair.exchange();
        assert_eq!((&pair.opened[..], pair.session.has_ended()), (&b"last words"[..], false));
        assert_eq!(pair.session.handle_fin(), Err(TlsFault::Truncated));
    }
}

#[test]
fn a_changed_record_is_a_fault_after_the_valid_ones() {
    for step in [100, 128 * 1024] {
        let mut pair = Pair::agreed(VERSIONS[1], step);
        let mut sealed = Vec::new();
        for text in [b"good", b"evil"] {
            pair.client.writer().write_all(text).unwrap();
        }
        while pair.client.wants_write() {
            pair.client.write_tls(&mut sealed).unwrap();
        }
        *sealed.last_mut().unwrap() ^= 1;
        pair.receive(&sealed);
        assert_eq!(pair.opened, b"good");
        assert_eq!(pair.fault, Some(TlsFault::Invalid(rustls::Error::DecryptError)));
        assert!(pair.session.has_failed());
        // The peer gets an alert.
        pair.exchange();
        let error = pair.client.process_new_packets().unwrap_err();
        assert_eq!(error, rustls::Error::AlertReceived(AlertDescription::BadRecordMac));
    }
}

#[test]
fn first_bytes_that_are_not_tls_are_named() {
    let fault = |bytes: &[u8]| {
        let mut pair = Pair::new(VERSIONS[1], 1024);
        pair.receive(bytes);
        pair.fault
    };
    assert_eq!(fault(b"GET / HTTP/1.1\r\n\r\n"), Some(TlsFault::PlainHttp));
    assert_eq!(fault(b"P"), Some(TlsFault::PlainHttp));
    assert_eq!(fault(&[0; 64]), Some(TlsFault::NotTls));
    assert_eq!(fault(b"\r\n\r\n\0\r\nQUIT\n!"), Some(TlsFault::ProxyHeader));
    assert_eq!(fault(b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"), Some(TlsFault::ProxyHeader));
    assert!(matches!(fault(&[22, 3, 1, 0, 4, 9, 9, 9, 9]), Some(TlsFault::Invalid(_))));
    let mut silent = Pair::new(VERSIONS[1], 1024);
    assert_eq!(silent.session.handle_fin(), Err(TlsFault::Silent));
    let mut begun = Pair::new(VERSIONS[1], 1024);
    begun.receive(&[22, 3]);
    assert_eq!(begun.session.handle_fin(), Err(TlsFault::Abandoned));
}

#[test]
fn a_handshake_that_asks_for_an_unknown_name_waits_until_it_is_resumed() {
    for version in VERSIONS {
        let (setup, certificate) = setup();
        setup.names.ask_for_unknown_names();
        let client = client(&certificate, version);
        let session = TlsSession::new(Arc::clone(&setup), Vec::new());
        let mut pair = Pair { client, session, opened: Vec::new(), fault: None, step: 1024 };
        assert!(!pair.session.resume());
        pair.exchange();
        assert!(pair.session.is_suspended());
        assert_eq!(pair.session.take_unknown_server_name().as_deref(), Some("localhost"));
        assert_eq!(pair.session.take_unknown_server_name(), None);
        assert!(!pair.client.wants_write() && pair.client.is_handshaking());

        let domain = Some(DomainId(7));
        let DomainConfig { config, .. } = setup.names.lookup(None);
        setup.names.set("localhost", &DomainConfig { config, domain });
        assert!(pair.session.resume());
        for _ in 0..4 {
            pair.exchange();
        }
        assert!(!pair.session.is_handshaking() && !pair.client.is_handshaking());
        assert_eq!(pair.session.domain(), domain);
        assert_eq!(pair.fault, None);
    }
}

#[test]
fn what_came_behind_the_first_message_is_kept_while_the_handshake_waits() {
    let (setup, certificate) = setup();
    setup.names.ask_for_unknown_names();
    let mut client = client(&certificate, VERSIONS[1]);
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    // A record of application data in plaintext, which no client sends here.
    hello.extend_from_slice(&[23, 3, 3, 0, 1, 0]);
    for step in [1, 64, 4096] {
        let mut session = TlsSession::new(Arc::clone(&setup), Vec::new());
        let mut fault = None;
        for piece in hello.chunks(step) {
            let mut buffer = piece.to_vec();
            fault = fault.or(session.open(&mut buffer, 0, piece.len()).err());
        }
        assert_eq!(fault, None, "{step}");
        assert!(session.is_suspended() && session.resume());
        assert!(matches!(session.open_pending(&mut [0; 64]), Err(TlsFault::Invalid(_))), "{step}");
    }
}

/// A pair whose client sends records of at most 27 bytes, so that every message of the handshake is in several of them.
fn fragmented(version: &'static SupportedProtocolVersion, step: usize) -> Pair {
    let (setup, certificate) = setup();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.max_fragment_size = Some(32);
    let client =
        ClientConnection::new(StdArc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let session = TlsSession::new(setup, Vec::new());
    Pair { client, session, opened: Vec::new(), fault: None, step }
}

/// What the client has to say, record by record.
fn records_of(client: &mut ClientConnection) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    let mut rest = &bytes[..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (record, after) = rest.split_at(5 + usize::from(u16::from_be_bytes([rest[3], rest[4]])));
        records.push(record.to_vec());
        rest = after;
    }
    records
}

#[test]
fn messages_of_the_handshake_are_put_together_from_records_that_come_one_by_one() {
    for version in VERSIONS {
        for step in [7, 100, 128 * 1024] {
            let mut pair = fragmented(version, step);
            for _ in 0..4 {
                for record in records_of(&mut pair.client) {
                    pair.receive(&record);
                }
                pair.exchange();
            }
            assert_eq!(pair.fault, None);
            assert!(!pair.session.is_handshaking() && !pair.client.is_handshaking());
            pair.client.writer().write_all(&[1; 100]).unwrap();
            pair.exchange();
            assert_eq!(pair.opened, [1; 100]);
            assert!(pair.session.received.is_empty() && pair.session.received.capacity() == 0);
        }
    }
}

#[test]
fn whatever_is_incomplete_when_the_connection_ends_harms_nobody() {
    for step in [100, 128 * 1024] {
        for is_changed in [false, true] {
            let mut pair = fragmented(VERSIONS[1], step);
            pair.exchange();
            // The change of cipher suite, and the first part of Finished.
            let mut records = records_of(&mut pair.client);
            assert!(records.len() > 2);
            let mut last = records.remove(2);
            for record in &records[..2] {
                pair.receive(record);
            }
            if is_changed {
                *last.last_mut().unwrap() ^= 1;
                pair.receive(&last);
                assert_eq!(pair.fault, Some(TlsFault::Invalid(rustls::Error::DecryptError)));
            } else {
                pair.receive(&last[..7]);
                assert_eq!(pair.fault, None);
            }
            let error = pair.session.write(&[IoSlice::new(b"early")], &mut Full(usize::MAX)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            pair.session.send_close_notify();
            pair.session.send_close_notify();
            let mut answer = Vec::new();
            assert!(pair.session.flush(&mut answer).unwrap());
            // Before the handshake is complete the alert of a failure is sent, and no other.
            assert_eq!(answer.is_empty(), !is_changed);
            pair.client.read_tls(&mut &answer[..]).unwrap();
            let alert = rustls::Error::AlertReceived(AlertDescription::BadRecordMac);
            assert_eq!(pair.client.process_new_packets().err(), is_changed.then_some(alert));
        }
    }
}

#[test]
fn an_idle_connection_keeps_no_buffer() {
    for version in VERSIONS {
        let mut pair = Pair::agreed(version, 128 * 1024);
        pair.client.writer().write_all(&[1; 40_000]).unwrap();
        pair.exchange();
        let mut kernel = Vec::new();
        assert_eq!(pair.session.write(&[IoSlice::new(&pair.opened)], &mut kernel).unwrap(), 40_000);
        let TlsSession { received, opened, sealed, .. } = &pair.session;
        assert_eq!([received.capacity(), opened.capacity(), sealed.capacity()], [0; 3]);
    }
}

#[test]
fn ciphertext_is_opened_where_it_lies_if_there_is_room() {
    let mut pair = Pair::agreed(VERSIONS[1], 128 * 1024);
    let data: Vec<u8> = (0..100_000).map(|index| (index / 7) as u8).collect();
    let mut sealed = Vec::new();
    let mut rest = &data[..];
    while !rest.is_empty() {
        rest = &rest[pair.client.writer().write(rest).unwrap()..];
        while pair.client.wants_write() {
            pair.client.write_tls(&mut sealed).unwrap();
        }
    }
    let mut buffer = vec![0; 128 * 1024];
    let (mut opened, mut rest) = (Vec::new(), &sealed[..]);
    while !rest.is_empty() {
        let place = pair.session.place(&mut buffer);
        assert!(place >= MARGIN);
        // Odd sizes, so that records are cut everywhere.
        let (piece, after) = rest.split_at(rest.len().min(33_333));
        buffer[place..place + piece.len()].copy_from_slice(piece);
        let count = pair.session.open(&mut buffer, place, piece.len()).unwrap();
        assert_eq!(pair.session.opened.capacity(), 0);
        opened.extend_from_slice(&buffer[..count]);
        rest = after;
    }
    assert!(opened == data);
}

#[test]
fn pieces_leave_in_as_few_records_as_hold_them() {
    let mut pair = Pair::agreed(VERSIONS[1], 4096);
    let data = vec![3; 40_000];
    let pieces = [&data[..200], &data[..39_000], &data[..10], &data[..5]].map(IoSlice::new);
    let mut kernel = Vec::new();
    assert_eq!(pair.session.write(&pieces, &mut kernel).unwrap(), 39_215);
    let mut lengths = Vec::new();
    let mut rest = &kernel[..];
    while let [_, _, _, high, low, ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(length - 17);
        rest = &rest[5 + length..];
    }
    assert_eq!(lengths, [16_384, 16_384, 39_215 - 2 * 16_384]);
}

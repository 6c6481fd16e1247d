"""BLAKE3's hash of bytes, from the paper's description; slow and short. Section A takes its first 16 bytes."""
import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
M = 0xFFFFFFFF
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def mix(s, a, b, c, d, x, y):
    for word, first, second in ((x, 16, 12), (y, 8, 7)):
        s[a] = s[a] + s[b] + word & M
        s[d] ^= s[a]
        s[d] = s[d] >> first | s[d] << 32 - first & M
        s[c] = s[c] + s[d] & M
        s[b] ^= s[c]
        s[b] = s[b] >> second | s[b] << 32 - second & M


def compress(chain, block, length, counter, flags):
    words = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    s = [*chain, *IV[:4], counter & M, counter >> 32, length, flags]
    for _ in range(7):
        for index, column in enumerate(COLUMNS):
            mix(s, *column, words[2 * index], words[2 * index + 1])
        words = [words[at] for at in ORDER]
    return [s[at] ^ s[at + 8] for at in range(8)]


def chunk(data, counter, root):
    chain, blocks = IV, [data[at:at + 64] for at in range(0, len(data), 64)] or [b""]
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        flags = (CHUNK_START if index == 0 else 0) | (CHUNK_END | (ROOT if root else 0) if last else 0)
        chain = compress(chain, block, len(block), counter, flags)
    return chain


def tree(data, counter, root):
    if len(data) <= 1024: return chunk(data, counter, root)
    left = 1024
    while left * 2 < len(data): left *= 2
    both = tree(data[:left], counter, False) + tree(data[left:], counter + left // 1024, False)
    return compress(IV, struct.pack("<16I", *both), 64, 0, PARENT | (ROOT if root else 0))


def blake3(data):
    return struct.pack("<8I", *tree(data, 0, True))


def content_hash(text):
    return blake3(text.encode())[:16].hex()


def digest(files):
    """Of [(path, content hash as hex)] in the order of the manifest."""
    return blake3(b"".join(path.encode() + b"\0" + bytes.fromhex(hash_) for path, hash_ in files))[:16].hex()

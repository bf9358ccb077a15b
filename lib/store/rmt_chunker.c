#include "store/rmt_chunker.h"

#include <assert.h>

const rmt_cut_t RMT_CUT_FILE = {64 * 1024, 128 * 1024, 1024 * 1024};
const rmt_cut_t RMT_CUT_MANIFEST = {2 * 1024, 8 * 1024, 64 * 1024};

// The hash of a place depends on this many bytes before it.
#define GEAR_WINDOW 64
// Bits by which cuts are rarer before the average size, and likelier after it.
#define NORMALISATION 2

// SplitMix64 of the seed "ramet-g1" (big-endian 0x72616d65742d6731), 256 outputs. It is
// a part of the format: a change means new cuts everywhere, so nothing would be shared.
static const uint64_t s_gear[256] = {
    0x7f2f93920cd46651, 0x0b26601671914c35, 0x18a6ae29b1751857, 0xededd3e5dc77aa56,
    0xb6e4cbd949a66a3a, 0xea8b4fd504373a75, 0x6c0ab0471a32f465, 0x3a29114997789e15,
    0x7b5bc7ff2c04eeac, 0xb9c7dfb1f8ab0d89, 0x9a3461c327aad8be, 0x52fc8449b63b3694,
    0x3f2d3102a635bb65, 0x52b61f2e620b32fd, 0x1e507d3d76434ad1, 0x4173c483b762c699,
    0xbe46b2c4f1f901ea, 0x35aaf8544f938d00, 0x9c857576a974d12b, 0xa4d85de9f13483fb,
    0x4ad8250a6c26463f, 0xee7855b57f968f2d, 0x027f47d17f05ca83, 0x33805de1b71dbd42,
    0xb6f708610a7cbb89, 0xa1eaa9510ab5fe55, 0x7953b389a152c586, 0xf88062f08b161064,
    0x8b7cfb0ed4f9e357, 0xcf041a56e35dd720, 0xc6582959fb55c24a, 0x760b4c71918b8e1b,
    0x05d2ff117d364c93, 0xeab454da1545c9cd, 0x4225069ab7edaf99, 0xda2153b4b4502dc9,
    0x3902aba205311a2b, 0x3f5c8016061021b4, 0xd1f02e395f14aaba, 0x474fa62e4f088e06,
    0xb06403905a933081, 0x646e1bf0d3452cc1, 0xe2474657c951d01a, 0xb63a913ecde9f15e,
    0x9577c9610bd4ed78, 0x0f9c07a76d91ffda, 0x38a87285a2674ae7, 0xd9e5995fea77727f,
    0xa3c80b3335aefd72, 0x1cc1e98e05d0115b, 0x0da7969d745e67a4, 0x74af2457720501a0,
    0xd31a2694c5154c15, 0x04cf34c38e4049cb, 0x1410bf2091877466, 0x2151b4f55511a699,
    0x0d8e006d419d9e8e, 0xb3e0bae3e1c2617d, 0x2822fd477d412215, 0xdd4dc3b955dfa713,
    0x9da611068b450f8c, 0x79d18c040c017fd8, 0x0df47f047e8d701f, 0x67545219b49f5c48,
    0x51131385ec244e9e, 0x89032d4f54945b9c, 0xe8c62f3c35a0ed4f, 0x3ac6b5da33a9a27a,
    0xc697f1bac4400add, 0xfccc3c44940a3ae6, 0xf71ed4917e052880, 0x8b1bab8e815f77a1,
    0x4884c27379c4326a, 0xf391c4ba13f3e4bc, 0x4cd38138285b0c98, 0xa74c1313ec0c6a06,
    0x2e557bca78741aa2, 0x9e9448e7f58d3909, 0xab3c9c22cbc70098, 0xc2618ee8f35afda4,
    0xcc2d0bb9cf26e9b2, 0xc02b15a22dcb8a42, 0x93d6e19efeb4e285, 0x0d136328eeb6a871,
    0x122f581826f4bf28, 0x35b746fac7a5b53a, 0xbfded8595388aa51, 0x213076383af91d66,
    0x3393bc1f32f8277c, 0xae25291fdbd73ea9, 0xb40aa98309fec0de, 0xf5ebb5fd0b90311d,
    0x8c49f2635f8575cb, 0x2664c82d12438156, 0xb6e6f5d59ef1bb23, 0x7627ef18fda85abf,
    0xd1209ece0306e076, 0x3dc3d53f5aab6ba9, 0xfe36370a69daeecd, 0x1ebf0c46475653b6,
    0xfc52e9d829bb9d24, 0x8cd4e3403def1ef3, 0xfceea852d1ee9e39, 0x4d43e59b1948609f,
    0x626bf3f3c7223e02, 0xb40876024ffac209, 0x6f362a0f857a0d46, 0xfd57220865160e6c,
    0x9415be9fc81816a0, 0x4221b0bff7545e3a, 0xca809d8c1284a5cd, 0x0d04e320e3d7bcae,
    0xc3b033d6623f37d1, 0xd398aa7ce99f50bf, 0x63bd6af57c86888f, 0x514d82125aba103e,
    0xf7f28999624b974a, 0x1de68e1397507828, 0x6d86af22e50cc026, 0xe973030f49c510e5,
    0xaccab18bcb8ee104, 0x33a43e5fd35b87ee, 0x97214aa1eb8c58fd, 0x229c6fecbbd0b29b,
    0xfe6c26a64a165122, 0xc9834d34c6a1f001, 0x6485bedb7f5e7955, 0x29b6f5cc9a23f76e,
    0xdb4345e6191966d6, 0x43e86db5adbf5de1, 0x81712a6c08cddffb, 0xd69d7ce7d49916ad,
    0x00fa4f233d91076b, 0x9c04340c6d6b67e6, 0x37329175c2177939, 0x9bd0a0aef8391d5a,
    0x3a1bb253d0495709, 0x85f093fc060a8b0c, 0x3b38dacb86b8ac5d, 0x326a6477c47d1252,
    0xfef545b6df834610, 0xfe8a5c0d8f6cd632, 0x9e2aa53ef269dab4, 0xd6d532c141abef3f,
    0x242d23f52c20cd16, 0x57d3beb9398ae8b5, 0x40434667300aacca, 0x52cfe56b53adfa93,
    0x7964a04202fc067c, 0x7532a2d694ba294a, 0x05e1f113b7875fc5, 0xed70aa749bb5bc7c,
    0x15f7bb84615467d5, 0x87fecc8277bd7145, 0x093015ef42fb30da, 0x7cb6eab8523793d0,
    0x2b5479f5aef9dc15, 0xd670dea8f3cff8e2, 0x39c65a10a888f295, 0xf300200255c9f0aa,
    0xc155e5ce1e666791, 0x5bc96ba7a8455542, 0x836f6018604edd58, 0x3516240826216e3e,
    0x599de72ab5cf9ea1, 0x81299d59a6977fd6, 0x7bf7e11a5444414f, 0x1acabbd4d29c01c7,
    0x1fa263fce1222109, 0xca55ac51a8eefb72, 0xc9588f3e807fe852, 0x68a9ac360cce611d,
    0xafe483de2576cdc5, 0x761bbfa92853fc81, 0x2e6c1e4d2b5a6800, 0xd02dfc58e792fb10,
    0x738421de24a565c0, 0x4d737d0b44de3e58, 0xc5ee68b41f96ce49, 0xb6052f6187eaac66,
    0xed9079f6abc8db76, 0xa1b9549e703533f3, 0x1bbbf44aac642bc1, 0x89a48a62392b8eed,
    0x2c1ef5f62b6cf6ec, 0x0faa5b0daeb1ff49, 0xdf2bbdcdefe57997, 0x56d0133e769c6dd0,
    0x208ab6758683b68c, 0xf1745b1371fa9bc2, 0xac0a55f4ae91f423, 0xb2005cb66b6f985f,
    0x7addad4b5aedbea6, 0xd718cdd6e07d8238, 0x63f0e8e7a01010ae, 0x9b8a77e92727b826,
    0x631129a6c6cd0f27, 0x7bdb72b93d105e87, 0xa5066b3046a02a11, 0x5f77afe419b46ec2,
    0x65c66d04615c284a, 0x5fc46f0a959ce4b9, 0x840b11f0925734b1, 0x35730977a6228a90,
    0x26fd259fbf2652d7, 0x67c11b4b2f072ec2, 0xaf0114effc5d6bf1, 0x8e5fe1f3a13b2e80,
    0x511489ed28245f75, 0x6fbc4b7de9176378, 0x46ef5c6bf52fbfc3, 0x5a3b722ea7f2447e,
    0xe9f53a93a63337d7, 0xd59cf9bfe6dd7b9d, 0x1067678bfb7a2e23, 0xc6865cff2aea2e5e,
    0xb9090605da82ba74, 0x4e80dd7f5a27c038, 0x93285fac51aeae95, 0x52ba6c114f9b2bdc,
    0xd1c3c1ee6074c396, 0x1437f4470bb44d1b, 0x60c434533b4d7acd, 0x2ee09fb53e0cd6e1,
    0xe0da971ed657d529, 0xea47744b90996cc7, 0x94a506080392488a, 0x7949b98c26e1f195,
    0x85e8b9f5a40f9d5a, 0x1d390c78fe0b8d8f, 0x6ce39e1a4929dda7, 0x5811aef4fb3a0dab,
    0xe2f649e521011abb, 0x9f2e47f8395b1f82, 0x9a326648aaa85eb9, 0xcd93d6e6b311a61e,
    0x62942ddc8e79cf0c, 0x93328730ebb77407, 0xf65580fc9be0e130, 0xce4b8cfcb844d41c,
    0x15199012e7575c91, 0xa94c11ffb33ae0c7, 0x4963f6fbc4b2a0a9, 0x3a35b5c4b947c81f,
    0x4c92f74ef66ba658, 0x9503dd081d2999d5, 0x16a41ba49d8da3a2, 0x10b35bc462d8ef38,
    0x579b1f697906ce09, 0x25c11fe936be2c74, 0xec9c0b0a03fa241c, 0x59010a23b0c9e657,
    0xd5f3470625cfb3b3, 0x1d3cdf8bfdcd5f30, 0xfbab0c242e411347, 0x33233f0f111c33b8,
};

// Go on with hash over data[at .. end); the first place whose hash is below the
// limit, or end.
static size_t
s_scan(const uint8_t *data, size_t at, size_t end, uint64_t limit, uint64_t *hash_p)
{
    uint64_t hash = *hash_p;
    // Unrolled, a byte costs half as much.
#pragma GCC unroll 8
    while (at < end) {
        hash = (hash << 1) + s_gear[data[at]];
        at++;
        if (hash < limit) {
            *hash_p = hash;
            return at;
        }
    }
    *hash_p = hash;
    return SIZE_MAX;
}

size_t
rmt_chunker_cut(const rmt_cut_t *cut, const void *data, size_t size)
{
    assert(cut->min >= GEAR_WINDOW && cut->min <= cut->average);
    assert(cut->average <= cut->max);
    if (size <= cut->min)
        return size;
    const int bits = __builtin_ctz(cut->average);
    const size_t end = size < cut->max ? size : cut->max;
    const size_t middle = end < cut->average ? end : cut->average;

    // The window is full at min, so that a cut depends on the bytes around it alone.
    uint64_t hash = 0;
    s_scan(data, cut->min - GEAR_WINDOW, cut->min, 0, &hash);
    size_t at =
        s_scan(data, cut->min, middle, 1ULL << (64 - bits - NORMALISATION), &hash);
    if (at == SIZE_MAX)
        at = s_scan(data, middle, end, 1ULL << (64 - bits + NORMALISATION), &hash);
    return at == SIZE_MAX ? end : at;
}

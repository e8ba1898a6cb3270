// Package version names this build.
package version

// API is the Milvus API line that Gyr speaks; SDKs read it from GetVersion and Connect.
const API = "2.6.18"

// Gyr is the product's own version.
const Gyr = "0.1"

// String is what GetVersion, build_tags and --version show.
func String() string { return API + "-gyr-" + Gyr }

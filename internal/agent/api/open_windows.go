package api

const openFlags = 0
